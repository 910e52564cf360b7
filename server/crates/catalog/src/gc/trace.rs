//! Propagation of the time of use along references.

/// Stands for no path.
pub(super) const NONE: u32 = u32::MAX;
/// Marks paths that were not reached yet. No path is that old.
const UNREACHED: i64 = i64::MIN;

/// References between paths, by their numbers: those of path `n` are `targets[starts[n]..starts[n + 1]]`.
pub(super) struct Edges {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Edges {
    pub(super) fn with_capacity(paths: usize) -> Self {
        Self { starts: Vec::with_capacity(paths + 1), targets: Vec::new() }
    }

    /// Adds a reference. References must be added in the order of their paths.
    pub(super) fn add(&mut self, path: usize, target: u32) {
        self.begin(path);
        self.targets.push(target);
    }

    /// Completes the edges after all references were added.
    pub(super) fn finish(&mut self, paths: usize) {
        self.begin(paths);
    }

    fn begin(&mut self, path: usize) {
        if self.starts.len() <= path {
            // More than 2^32 references would not fit into memory anyway.
            let start = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
            self.starts.resize(path + 1, start);
        }
    }
}

/// The result of following the references.
#[derive(Default)]
pub(super) struct Trace {
    /// The latest time at which each path, or one that refers to it, directly or not, was used.
    pub(super) until: Vec<i64>,
    /// The path whose reference passed that time on; [`NONE`] if it is the own time.
    pub(super) via: Vec<u32>,
    /// All paths in an order in which they can be removed: by `until`, and a path before its references.
    pub(super) order: Vec<u32>,
    /// Parts of `order`, by first and last index, that hold a cycle and must be removed together.
    pub(super) cycles: Vec<(usize, usize)>,
}

/// Passes the time of use of each path on to everything that it refers to.
///
/// The paths are visited from the latest use to the earliest, each with everything that it reaches and that was not reached
/// before. So each path is visited once, from the latest use that reaches it. The search is depth first, because the reverse of
/// the order in which paths are finished puts every path before its references.
pub(super) fn trace(own: &[i64], edges: &Edges) -> Trace {
    let paths = own.len();
    let mut sources: Vec<u32> = (0..).take(paths).collect();
    // Of those that were used at the same time, the ones that came last are visited first, and go last.
    sources.sort_unstable_by_key(|&path| std::cmp::Reverse((own[path as usize], path)));
    let mut until = vec![UNREACHED; paths];
    let mut via = vec![NONE; paths];
    let mut order = Vec::with_capacity(paths);
    let mut next = edges.starts.clone();
    let mut open = vec![false; paths];
    let mut stack = Vec::new();
    let mut backwards = Vec::new();
    for source in sources {
        if until[source as usize] != UNREACHED {
            continue;
        }
        until[source as usize] = own[source as usize];
        open[source as usize] = true;
        stack.push(source);
        while let Some(&path) = stack.last() {
            let at = path as usize;
            if next[at] == edges.starts[at + 1] {
                open[at] = false;
                order.push(path);
                stack.pop();
                continue;
            }
            let target = edges.targets[next[at] as usize];
            next[at] += 1;
            let to = target as usize;
            if until[to] == UNREACHED {
                until[to] = until[at];
                via[to] = path;
                open[to] = true;
                stack.push(target);
            } else if open[to] && target != path {
                backwards.push((path, target));
            }
        }
    }
    order.reverse();
    let cycles = cycles(&order, &backwards);
    Trace { until, via, order, cycles }
}

/// Returns the parts of `order` between the ends of backward references, with overlapping parts merged.
fn cycles(order: &[u32], backwards: &[(u32, u32)]) -> Vec<(usize, usize)> {
    if backwards.is_empty() {
        return Vec::new();
    }
    let mut places = vec![0; order.len()];
    for (place, &path) in order.iter().enumerate() {
        places[path as usize] = place;
    }
    let mut found: Vec<(usize, usize)> =
        backwards.iter().map(|&(from, to)| (places[to as usize], places[from as usize])).collect();
    found.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (first, last) in found {
        match merged.last_mut() {
            Some(previous) if first <= previous.1 => previous.1 = previous.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}
