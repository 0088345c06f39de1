//! Containers against the real kernel: namespaces, cgroups, libcontainer. Needs root and a static busybox.
mod exec;
mod fixture;
mod lifecycle;
mod output;
