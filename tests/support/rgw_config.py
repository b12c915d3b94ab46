# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ceph has to be told to run on one machine, in memory, and to be quick about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def global_config(*, directory: Path, cluster_id: str, mon_port: int) -> str:
    """Of the monitor and the storage daemon."""
    return f"""\
[global]
fsid = {cluster_id}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{mon_port}/0]
ms_bind_msgr1 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_port_min = 17800
ms_bind_port_max = 17990

# Nobody else is on this loopback. Without the modes the gateway, which wants secrets, would wait for minutes.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc

run_dir = {directory}/run
log_file = {directory}/$name.log
mon_cluster_log_file = {directory}/cluster.log
crash_dir = {directory}/crash
admin_socket = {directory}/run/$name.$pid.asok
keyring = {directory}/keyring
mon_data = {directory}/mon
osd_data = {directory}/osd
rgw_data = {directory}/rgw

# One daemon, so one copy of everything.
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.01
osd_objectstore = memstore
memstore_device_bytes = 8589934592
memstore_page_set = true
"""


def gateway_config(
    *, directory: Path, log: Path, port: int, tls_port: int, dns_name: str, options: Mapping[str, str]
) -> str:
    """Of one gateway; C(options) win over what stands here."""
    frontend = (
        f"beast endpoint=127.0.0.1:{port} ssl_endpoint=127.0.0.1:{tls_port} "
        f"ssl_certificate={directory}/server.crt ssl_private_key={directory}/server.key"
    )
    settings = {
        "rgw_frontends": frontend,
        "log_file": str(log),
        # a line a request, with its operation and status: tests count them
        "debug_rgw": "1",
        "rgw_dns_name": dns_name,
        "rgw_thread_pool_size": "64",
        "rgw_crypt_require_ssl": "false",
        "rgw_enable_ops_log": "false",
        "rgw_enable_usage_log": "false",
        # a day of a lifecycle rule lasts ten seconds
        "rgw_lc_debug_interval": "10",
        "rgw_lc_max_worker": "1",
        "rgw_lc_max_objs": "1",
        "rgw_lc_lock_max_time": "5",
        "rgw_gc_obj_min_wait": "5",
        "rgw_gc_processor_period": "5",
        "rgw_gc_processor_max_time": "5",
        **options,
    }
    return "\n[client.rgw]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
