//! The tests from outside: one binary, so that it is linked once and most tests share one running cluster.
mod bad_input;
mod bench_smoke;
mod busybox;
mod cluster;
mod crash;
mod dashboard_browser;
mod http_streams;
mod https;
mod kubectl;
mod licences;
mod node_images;
mod restarts;
mod run;
mod tidy;
mod transcript;
mod two_nodes;
