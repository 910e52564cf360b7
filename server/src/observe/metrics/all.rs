//! Every metric, once.

use super::metric::Kind::{Counter, Durations, Gauge, Sizes};
use super::metric::{Metric, Topic};

macro_rules! topics {
    ($($title:literal { $($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+ })+) => {
        $($(
            pub const $id: Metric = Metric {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+)+

        /// All metrics by subject.
        pub const TOPICS: &[Topic] = &[$(Topic { title: $title, metrics: &[$(&$id),+] }),+];
    };
}

topics! {
    "The daemon" {
        BUILD: Gauge "cache_server_build_info" ["version"] "Always 1. The label has the version.";
        READY: Gauge "cache_server_ready" [] "1 if /health/ready sends new requests here, 0 if it sends them elsewhere.";
        STARTED: Gauge "process_start_time_seconds" [] "When the daemon started, in seconds since 1970.";
        RESIDENT: Gauge "process_resident_memory_bytes" [] "Memory of the process that is in RAM.";
        PROCESSOR: Counter "process_cpu_seconds" [] "Processor time that the process has used.";
        DESCRIPTORS: Gauge "process_open_fds" [] "Open file descriptors.";
        MOST_DESCRIPTORS: Gauge "process_max_fds" [] "Most file descriptors that may be open.";
        THREADS: Gauge "process_threads" [] "Threads of the process.";
        CLOCK: Gauge "cache_server_clock_trusted" [] "1 if the system clock is trusted, 0 if nothing is collected because of it.";
    }
    "Requests" {
        REQUESTS: Counter "cache_server_http_requests" ["route", "method", "status", "cache"] "Replies. HEAD counts as GET; the route is none for requests that no route takes; the cache is empty for routes of no cache.";
        DURATION: Durations "cache_server_http_request_duration_seconds" ["route", "method"] "Time from a request to the head of its reply.";
        RECEIVED: Counter "cache_server_http_received_bytes" [] "Bytes that arrived on all listeners.";
        SENT: Counter "cache_server_http_sent_bytes" [] "Bytes that were sent on all listeners.";
        CONNECTIONS: Gauge "cache_server_connections" [] "Open client connections.";
        MOST_CONNECTIONS: Gauge "cache_server_connections_limit" [] "Most client connections at a time (server.max-connections).";
        LISTENER: Gauge "cache_server_listener_up" ["purpose", "address"] "1 if the daemon listens on this address, 0 if it could not and tries again.";
        CERTIFICATE: Gauge "cache_server_certificate_end_timestamp_seconds" ["file"] "When the TLS certificate in this file ends, in seconds since 1970.";
        TOKENS_REFUSED: Counter "cache_server_tokens_refused" ["reason"] "Requests that were refused because of their credentials.";
        LIMITS: Counter "cache_server_limit_hits" ["limit"] "How often a client ran into a limit.";
    }
    "Pushes" {
        PUSHES: Counter "cache_server_pushes" ["cache"] "Paths that were recorded.";
        PUSHED: Counter "cache_server_pushed_bytes" ["cache"] "Bytes of the compressed NARs of these paths.";
        REFUSALS: Counter "cache_server_push_refusals" ["cause"] "Pushes, or steps of them, that were refused or failed.";
        UPLOADS: Gauge "cache_server_uploads_open" ["cache"] "Uploads that were begun and not completed.";
    }
    "Caches" {
        NARINFO: Counter "cache_server_narinfo" ["cache", "result"] "Narinfos asked for: hit in the cache itself, federated from another cache or node, upstream, miss, or unfinished if the reader has to come back.";
        PATHS: Gauge "cache_server_paths" ["cache"] "Visible store paths.";
        HIDDEN: Gauge "cache_server_hidden_paths" ["cache"] "Store paths that are hidden because their NAR is damaged or out of reach.";
        INCOMPLETE: Gauge "cache_server_incomplete_paths" ["cache"] "Store paths whose closure is incomplete: a reference is neither in the cache nor known to be at an upstream.";
        ELSEWHERE: Gauge "cache_server_paths_elsewhere" ["cache", "state"] "Paths that pushes left out, or closures need, because an upstream has them: present, or missing if they are gone from there.";
        NAR_BYTES: Gauge "cache_server_nar_bytes" ["cache"] "Bytes of the uncompressed NARs.";
        COPIES_THERE: Gauge "cache_server_copies" ["cache"] "Sound copies of NARs beside the first.";
        COPIES_MISSING: Gauge "cache_server_copies_missing" ["cache"] "Copies of NARs that are to be made, damaged ones included.";
        COPIES_MISSING_BYTES: Gauge "cache_server_copies_missing_bytes" ["cache"] "Bytes of the copies that are to be made.";
        COPIES_EXPOSED: Gauge "cache_server_copies_exposed" ["cache"] "Copies to be made of NARs that have only one sound copy.";
        COPIES_DAMAGED: Gauge "cache_server_copies_damaged" ["cache"] "Copies that are missing or damaged and to be replaced.";
        COPIES_MADE: Counter "cache_server_copies_made" [] "Copies of NARs that were made.";
        COPIED_BYTES: Counter "cache_server_copied_bytes" [] "Bytes of the copies that were made.";
        COPIES_FAILED: Counter "cache_server_copies_failed" [] "Copies that could not be made and are tried again.";
        PROMOTED: Counter "cache_server_nars_promoted" [] "NARs that were copied to a faster tier because they were read.";
        DEMOTED: Counter "cache_server_nars_demoted" [] "NARs that left a faster tier.";
        COPIES_LEAVING: Gauge "cache_server_copies_leaving" ["cache"] "Copies that are to be removed.";
        CACHE_USED: Gauge "cache_server_cache_used_bytes" ["cache"] "Bytes of NARs and of the files beside them on all storages of the cache.";
        CACHE_LIMIT: Gauge "cache_server_cache_limit_bytes" ["cache", "when_full"] "Most bytes that the cache may use on all of its storages (its max-size); NaN without a limit. The label says what becomes of a push then: refuse or collect.";
        COLLECTED: Counter "cache_server_gc_paths_removed" ["cache"] "Paths that garbage collection removed.";
        FREED: Counter "cache_server_gc_freed_bytes" ["cache"] "Bytes of files that garbage collection removed.";
        HELD: Gauge "cache_server_gc_held_back_paths" ["cache"] "Paths that the last collection left because they were more than server.gc-max-share.";
    }
    "Storages" {
        STORAGE_STATE: Gauge "cache_server_storage_state" ["cache", "storage", "state"] "1 for the state that the storage is in, 0 for the others: ok, full, failing.";
        USED: Gauge "cache_server_storage_used_bytes" ["cache", "storage"] "Bytes of NARs and of the files beside them.";
        LIMIT: Gauge "cache_server_storage_limit_bytes" ["cache", "storage"] "Most bytes that the cache may use there (max-size); NaN without a limit.";
        FREE: Gauge "cache_server_storage_free_bytes" ["cache", "storage"] "Bytes that can still be written, by limit and medium; NaN if neither is known.";
        TOTAL: Gauge "cache_server_storage_size_bytes" ["cache", "storage"] "Size of the medium, or of the limit if that is less; NaN if neither is known.";
        RESERVED: Gauge "cache_server_storage_reserved_bytes" ["cache", "storage"] "Bytes of files that are being stored.";
        TRASH_PATHS: Gauge "cache_server_trash_paths" ["cache", "storage"] "Paths in the trash.";
        TRASH: Gauge "cache_server_trash_bytes" ["cache", "storage"] "Bytes of NARs that only paths in the trash need.";
        NARS: Gauge "cache_server_storage_nars" ["cache", "storage"] "NAR files.";
        DAMAGED: Gauge "cache_server_storage_damaged_nars" ["cache", "storage"] "NAR files that are known to be missing or damaged.";
        TOMBSTONES: Gauge "cache_server_storage_removals_pending" ["cache", "storage"] "Removed paths whose files are still to be removed.";
        SCRUBBED: Gauge "cache_server_scrub_read_bytes" ["cache", "storage"] "How far the scrub of server.scrub-interval has come: bytes that were read in this round.";
        TO_SCRUB: Gauge "cache_server_scrub_size_bytes" ["cache", "storage"] "Bytes to be read in a round.";
        SCRUB_DAMAGED: Gauge "cache_server_scrub_damaged_nars" ["cache", "storage"] "NAR files that were found missing or damaged in this round.";
        FOREIGN: Gauge "cache_server_storage_foreign" ["cache", "storage"] "1 if the storage was last used with another catalog.";
        OPERATIONS: Counter "cache_server_storage_operations" ["cache", "storage", "operation"] "Operations on the storage.";
        ERRORS: Counter "cache_server_storage_errors" ["cache", "storage", "operation"] "Operations that failed. A missing object is no failure.";
        LATENCY: Durations "cache_server_storage_operation_duration_seconds" ["cache", "storage", "operation"] "How long the operations took; listings are not measured.";
    }
    "Catalog" {
        WRITABLE: Gauge "cache_server_catalog_writable" [] "1 if the catalog could be written the last time, 0 if pushes are refused because of it.";
        COMMITS: Counter "cache_server_catalog_commits" [] "Transactions that were committed.";
        WRITES: Counter "cache_server_catalog_writes" [] "Writes, of which a transaction takes several.";
        WRITE_FAILURES: Counter "cache_server_catalog_failures" [] "Transactions that failed.";
        QUEUE: Gauge "cache_server_catalog_queue" [] "Writes that wait.";
        COMMIT_TIME: Durations "cache_server_catalog_commit_duration_seconds" [] "How long transactions took.";
        GROUP: Sizes "cache_server_catalog_commit_writes" [] "How many writes shared a transaction.";
        VOID_TOKENS: Gauge "cache_server_tokens_void" [] "Tokens that are refused because they were made with another server key.";
        FIGURES_AGE: Gauge "cache_server_catalog_figures_age_seconds" [] "Age of the values that were counted in the catalog.";
    }
    "Work" {
        WORKER_RUN: Gauge "cache_server_worker_last_run_timestamp_seconds" ["worker"] "When the last round began, in seconds since 1970; 0 if there was none.";
        WORKER_TIME: Gauge "cache_server_worker_last_duration_seconds" ["worker"] "How long the last complete round took.";
        WORKER_RUNS: Counter "cache_server_worker_runs" ["worker"] "Rounds that have ended.";
        WORKER_FAILURES: Counter "cache_server_worker_failures" ["worker"] "Rounds that failed.";
        WORKER_ROW: Gauge "cache_server_worker_failures_in_a_row" ["worker"] "Rounds that failed since one succeeded.";
        WORKER_BACKLOG: Gauge "cache_server_worker_backlog" ["worker"] "What waits for the worker: for publisher paths whose narinfo and listing are not known to be on disk, for uses paths whose last use is not written down, for recovery storages to be searched.";
        JOBS_RUNNING: Gauge "cache_server_jobs_running" ["kind"] "Jobs that run.";
        JOB_RUNS: Counter "cache_server_job_runs" ["kind", "outcome"] "Jobs that have ended.";
        JOB_SUCCESS: Gauge "cache_server_job_last_success_timestamp_seconds" ["kind"] "When a job of the kind last came to its end, in seconds since 1970; 0 if that is unknown.";
        JOB_TIME: Gauge "cache_server_job_last_duration_seconds" ["kind"] "How long that job took.";
        GC_INTERVAL: Gauge "cache_server_gc_interval_seconds" [] "Pause between two collections (server.gc-interval); 0 if it is off.";
    }
    "Other nodes and upstreams" {
        ASKED: Counter "cache_server_remote_requests" [] "Requests for narinfos to other nodes and upstreams that were answered.";
        NOT_ANSWERED: Counter "cache_server_remote_failures" [] "Requests for narinfos to other nodes and upstreams that failed.";
        BREAKER: Gauge "cache_server_upstream_breaker_open" ["upstream"] "1 if the upstream is left alone for a while because it failed.";
        UPSTREAM_LOOKUPS: Counter "cache_server_upstream_lookups" ["upstream", "result"] "Lookups at an upstream: found, absent, remembered as absent, refused because of credentials, unusable, or failed.";
        UPSTREAM_HEDGES: Counter "cache_server_upstream_hedges" ["upstream"] "Lookups for which the next upstream was asked as well, because this one took long.";
        UPSTREAM_LATENCY: Gauge "cache_server_upstream_latency_seconds" ["upstream"] "How long the upstream takes to answer, recent answers counting more; NaN if it was never asked.";
        UPSTREAM_NARS: Counter "cache_server_upstream_nars" ["upstream"] "NARs that were fetched from an upstream, or begun.";
        UPSTREAM_BYTES: Counter "cache_server_upstream_nar_bytes" ["upstream"] "Bytes of these NARs.";
        UPSTREAM_MEMORY: Gauge "cache_server_upstream_absent_paths" ["upstream"] "Paths that an upstream is remembered not to have.";
        UPSTREAM_QUARANTINE: Gauge "cache_server_upstream_quarantined_paths" ["upstream"] "Paths that an upstream is not asked for because it gave something else than it signed or promised.";
        UPSTREAM_REFUSING: Gauge "cache_server_upstream_refusing" ["upstream"] "1 if the upstream does not accept the credentials, or they cannot be read.";
        PEERS: Gauge "cache_server_peers" [] "Other nodes that are known.";
        PEER_BREAKERS: Gauge "cache_server_peer_breakers_open" [] "Nodes that are left alone for a while because they failed.";
        STANDALONE: Gauge "cache_server_standalone" [] "1 if the node keeps to itself (`server.standalone`), 0 if it takes part in a network.";
        DHT: Gauge "cache_server_dht_up" [] "1 if the DHT listens; 0 if it cannot, and if the node is standalone.";
        DHT_NODES: Gauge "cache_server_dht_nodes" [] "Nodes of the DHT that respond.";
        DHT_RECORDS: Gauge "cache_server_dht_records" [] "Records that this node keeps in the DHT: one for each path that it announces, as of the last round over all of them.";
        DHT_STORED: Counter "cache_server_dht_records_stored" [] "Records of the network that other nodes had this one store, each time they did.";
        DHT_REFUSED: Counter "cache_server_dht_requests_refused" [] "Requests of the DHT that were refused: records of strangers, and senders of too many requests.";
        BACKLOG: Gauge "cache_server_announce_backlog" [] "Paths that wait to be announced.";
        ANNOUNCED: Counter "cache_server_announced_records" [] "Records that were written to the DHT.";
        NOT_ANNOUNCED: Counter "cache_server_announce_failures" [] "Records that could not be written to the DHT.";
    }
    "Cachix Deploy" {
        AGENTS: Gauge "cache_server_deploy_agents" [] "Declared agents.";
        ONLINE: Gauge "cache_server_deploy_agents_online" [] "Agents that are connected.";
        AGENT: Gauge "cache_server_deploy_agent_online" ["agent"] "1 if the agent is connected.";
        DEPLOYMENTS: Gauge "cache_server_deployments_open" ["status"] "Deployments that have not ended.";
        DEPLOYMENTS_ENDED: Counter "cache_server_deployments_ended" ["status"] "Deployments that have ended: succeeded, failed, or cancelled, by an operator, by a newer one or because their agent was away for too long.";
    }
}
