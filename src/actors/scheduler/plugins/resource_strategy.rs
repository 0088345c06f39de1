//! How much of a node's resources would be taken, as a score: least, most, or by a shape of one's own.
use super::{MAX_SCORE, NodeInfo};
use crate::actors::scheduler::demand::Demand;
use crate::actors::scheduler::framework::args::{BY_SHAPE, ResourceSpec, ScoringStrategy};

/// Scores in a shape go to 10.
const SHAPE_SCALE: i64 = MAX_SCORE / 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Least,
    Most,
    Shape,
}

/// `scoringStrategy` of NodeResourcesFit.
#[derive(Debug, PartialEq)]
pub struct Strategy {
    sort: Sort,
    resources: Vec<(String, i64)>,
    /// Utilisation in per cent and score, by utilisation.
    shape: Vec<(i64, i64)>,
}

impl Default for Strategy {
    fn default() -> Self {
        Strategy { sort: Sort::Least, resources: resources(&[]), shape: Vec::new() }
    }
}

/// Names and weights; cpu and memory alike when there are none.
pub fn resources(list: &[ResourceSpec]) -> Vec<(String, i64)> {
    let given: Vec<(String, i64)> = list.iter().map(|r| (r.name.clone(), r.weight.max(1))).collect();
    if given.is_empty() { vec![("cpu".into(), 1), ("memory".into(), 1)] } else { given }
}

impl Strategy {
    pub fn new(args: &ScoringStrategy) -> Strategy {
        let sort = match args.sort.as_str() {
            "MostAllocated" => Sort::Most,
            BY_SHAPE => Sort::Shape,
            _ => Sort::Least,
        };
        let points = args.requested_to_capacity_ratio.iter().flat_map(|ratio| &ratio.shape);
        let shape = points.map(|p| (p.utilization.into(), i64::from(p.score) * SHAPE_SCALE)).collect();
        Strategy { sort, resources: resources(&args.resources), shape }
    }

    pub fn score(&self, demand: &Demand, node: &NodeInfo) -> i64 {
        let (mut sum, mut weights) = (0, 0);
        for (name, weight) in &self.resources {
            let Some((requested, have)) = requested(name, demand, node, true) else { continue };
            let score = match self.sort {
                Sort::Least if requested > have => 0,
                Sort::Least => share(have - requested, have),
                Sort::Most => share(requested.min(have), have),
                Sort::Shape => self.shaped(if requested > have { 100 } else { share(requested, have) }),
            };
            if self.sort == Sort::Shape && score == 0 {
                continue;
            }
            sum += score * weight;
            weights += weight;
        }
        match (weights, self.sort) {
            (0, _) => 0,
            (_, Sort::Shape) => (sum as f64 / weights as f64).round() as i64,
            _ => sum / weights,
        }
    }

    /// The score at a utilisation, on the line between the points of the shape.
    fn shaped(&self, at: i64) -> i64 {
        let Some(&(first, mut last_score)) = self.shape.first() else { return 0 };
        let mut last = first;
        if at <= first {
            return last_score;
        }
        for &(point, score) in &self.shape {
            if at <= point {
                return if point == last { score } else { last_score + (score - last_score) * (at - last) / (point - last) };
            }
            (last, last_score) = (point, score);
        }
        last_score
    }
}

/// What would be taken of a resource with the pod, and what there is. `None` when it doesn't count for this pod and node.
/// `usual`: containers that ask for nothing count with a usual size.
pub fn requested(name: &str, demand: &Demand, node: &NodeInfo, usual: bool) -> Option<(i64, i64)> {
    let (used, wanted, have) = match (name, usual) {
        ("cpu", true) => (node.scored_cpu, demand.scored_cpu, node.cpu_milli),
        ("cpu", false) => (node.used_cpu, demand.cpu_milli, node.cpu_milli),
        ("memory", true) => (node.scored_memory, demand.scored_memory, node.memory),
        ("memory", false) => (node.used_memory, demand.memory, node.memory),
        _ => {
            let wanted = demand.others.iter().find(|(n, _)| **n == *name).map_or(0, |(_, amount)| *amount);
            if wanted == 0 && name.contains('/') {
                return None;
            }
            (node.used(name), wanted, node.offered(name))
        }
    };
    (have > 0).then_some((used.saturating_add(wanted), have))
}

/// `part` of `whole` in hundredths. Bytes times 100 pass an i64 only on absurdly large nodes.
fn share(part: i64, whole: i64) -> i64 {
    part.saturating_mul(MAX_SCORE) / whole
}
