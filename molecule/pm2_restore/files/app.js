// Answers with the version of the project it was started on, as long as that version is said to be healthy.
const fs = require('fs');
const http = require('http');
const version = fs.readFileSync(__dirname + '/version.txt', 'utf8').trim();
const healthy = !fs.existsSync(__dirname + '/broken');
http.createServer((request, response) => {
  response.statusCode = request.url === '/health' && !healthy ? 500 : 200;
  response.end(version + '\n');
}).listen(Number(process.env.PORT), '127.0.0.1');
