//! The tests from outside: one binary, so that it is linked once and most tests share one running cluster.
mod api;
mod autoscaling;
mod bad_input;
mod bench_smoke;
mod busybox;
mod causes;
mod clients;
mod cluster;
mod conformance;
mod conformance_apps;
mod crash;
mod crash_walk;
mod dashboard_browser;
mod documents;
mod http_streams;
mod https;
mod kubectl;
mod licences;
mod node_containers;
mod node_images;
mod restarts;
mod rights;
mod run;
mod scheduling;
mod tidy;
mod transcript;
mod two_nodes;
mod volumes;
mod walk;
mod watch_exactness;

/// Most tests wait for a server, so twice as many run at the same time as there are processors. Whoever says otherwise, by
/// `RUST_TEST_THREADS` or `--test-threads`, is heard.
extern "C" fn more_at_once() {
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // SAFETY: this runs before main, when there are no other threads.
        unsafe { std::env::set_var("RUST_TEST_THREADS", (2 * processors).to_string()) };
    }
}

/// What the loader calls before main.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = more_at_once;
