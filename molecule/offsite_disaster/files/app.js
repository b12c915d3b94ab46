// Says what it finds in its database, whose bytes are the only thing that tells one machine from another.
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const digest = crypto.createHash('sha256').update(fs.readFileSync(__dirname + '/shop.db')).digest('hex');
http.createServer((request, response) => response.end(digest + '\n')).listen(Number(process.env.PORT), '127.0.0.1');
