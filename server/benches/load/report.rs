//! The tables.

use std::time::Duration;

use crate::MIB;
use crate::fill::Push;
use crate::reads::{Cost, Measured};

/// What pushing cost.
pub fn pushes(pushes: &[Push]) {
    println!("\n{:32}{:>8}{:>10}{:>12}{:>14}", "push", "s", "paths/s", "NAR MiB/s", "server CPU");
    for push in pushes {
        let seconds = push.time.as_secs_f64();
        let mebibytes = push.nar_size as f64 / MIB as f64;
        let (what, rate, cpu) = if push.paths > 1 {
            let cpu = push.cpu.as_secs_f64() * 1e3 / push.paths as f64;
            let rate = push.paths as f64 / seconds;
            (
                format!("{} small paths, {}", push.paths, push.what),
                format!("{rate:.0}"),
                format!("{cpu:.2} ms/path"),
            )
        } else {
            let cpu = push.cpu.as_secs_f64() * 1024.0 / mebibytes;
            let compressed = push.file_size as f64 / MIB as f64;
            (
                format!("{mebibytes:.0} MiB ({compressed:.0} as {})", push.what),
                String::new(),
                format!("{cpu:.2} s/GiB"),
            )
        };
        println!("{what:32}{seconds:>8.2}{rate:>10}{:>12.0}{cpu:>14}", mebibytes / seconds);
    }
}

/// What reading cost, beside nginx. All figures are medians over the rounds.
pub fn reads(lines: &[Measured]) {
    println!(
        "\n{:14}{:>6}  {:>12}{:>12}{:>7}  {:>12}{:>12}{:>7}{:>10}  {:>9}{:>9}",
        "read",
        "conns",
        "nginx",
        "ours",
        "ratio",
        "nginx CPU",
        "our CPU",
        "ratio",
        "to limit",
        "nginx p99",
        "our p99"
    );
    for line in lines {
        let (rate_unit, cpu_unit, cpu_scale) =
            if line.in_mebibytes { ("MiB/s", "ms/GiB", 1024.0 * 1e3) } else { ("/s", "µs", 1e6) };
        let rate = |cost: &Cost| cost.amount / cost.time.as_secs_f64();
        let cpu = |cost: &Cost| cost.cpu.as_secs_f64() * cpu_scale / cost.amount;
        let (their_rate, our_rate) = (median(&line.nginx, rate), median(&line.daemon, rate));
        let (their_cpu, our_cpu) = (median(&line.nginx, cpu), median(&line.daemon, cpu));
        let to_limit = match line.limit.is_empty() {
            true => String::new(),
            false => format!("{:.2}", our_cpu / median(&line.limit, cpu)),
        };
        let p99 = |costs: &[Cost]| match median(costs, |cost| cost.p99.as_secs_f64()) {
            0.0 => String::new(),
            seconds => format!("{:.2?}", Duration::from_secs_f64(seconds)),
        };
        println!(
            "{:14}{:>6}  {:>12}{:>12}{:>7.2}  {:>12}{:>12}{:>7.2}{:>10}  {:>9}{:>9}",
            line.what,
            line.connections,
            format!("{their_rate:.0} {rate_unit}"),
            format!("{our_rate:.0} {rate_unit}"),
            our_rate / their_rate,
            format!("{their_cpu:.1} {cpu_unit}"),
            format!("{our_cpu:.1} {cpu_unit}"),
            our_cpu / their_cpu,
            to_limit,
            p99(&line.nginx),
            p99(&line.daemon),
        );
    }
}

fn median(costs: &[Cost], figure: impl Fn(&Cost) -> f64) -> f64 {
    let mut figures: Vec<_> = costs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
