//! `/metrics` in Prometheus text, under upstream's names where upstream has one.
use crate::actors::base::Registry;
use crate::actors::kinds::Kinds;
use std::fmt::Write;

/// Objects per kind, revisions, and every actor's counters.
pub fn metrics_text(kinds: &Kinds, registry: &Registry) -> String {
    let mut out =
        String::from("# HELP apiserver_resource_objects Number of stored objects, by resource.\n# TYPE apiserver_resource_objects gauge\n");
    for served in kinds.stored() {
        let resource = &served.kind.resource;
        let count = served.shelf.snapshot().len();
        let _ = writeln!(out, "apiserver_resource_objects{{group=\"{}\",resource=\"{}\"}} {count}", resource.group, resource.plural);
    }
    out.push_str("# HELP impresario_committed_revision The newest durable revision.\n# TYPE impresario_committed_revision counter\n");
    let _ = writeln!(out, "impresario_committed_revision {}", kinds.shelves.committed());
    let actors = registry.report();
    let families: [(&str, &str, &str, fn(&crate::actors::base::ActorReport) -> u64); 4] = [
        ("impresario_actor_mailbox_depth", "gauge", "Messages waiting.", |a| a.depth),
        ("impresario_actor_handled_total", "counter", "Messages handled.", |a| a.handled),
        ("impresario_actor_dropped_total", "counter", "Messages refused or lost.", |a| a.dropped),
        ("impresario_actor_restarts_total", "counter", "Restarts after a panic.", |a| a.restarts),
    ];
    for (name, kind, help, value) in families {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for actor in &actors {
            let _ = writeln!(out, "{name}{{actor=\"{}\"}} {}", actor.path, value(actor));
        }
    }
    out.push_str(&crate::actors::scheduler::metrics::METRICS.text());
    out
}
