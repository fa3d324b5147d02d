//! What every program of a Prometheus installation tells about its process, under the usual names.

use procfs::process::Process;
use prometheus::proto::{MetricFamily, MetricType};
use rustix::process::{Resource, getrlimit};

use super::render::{counter_sample, family, gauge_sample};

/// The families whose values the kernel gave; none where `/proc` isn't mounted.
pub(super) fn families() -> Vec<MetricFamily> {
    let Ok(process) = Process::myself() else { return Vec::new() };
    let mut families = Vec::new();
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            families.push(family(
                name,
                help,
                MetricType::GAUGE,
                vec![gauge_sample(Vec::new(), value)],
            ));
        }
    };
    let limit = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |value| value as f64);
    let open = process.fd_count().ok().map(|count| count as f64);
    gauge("process_open_fds", "Number of open file descriptors.", open);
    gauge("process_max_fds", "Maximum number of open file descriptors.", Some(limit));

    let Ok(stat) = process.stat() else { return families };
    let ticks_per_second = procfs::ticks_per_second() as f64;
    let start = procfs::boot_time_secs().ok().map(|boot| {
        // The boot time is in whole seconds, so a fraction would only look exact.
        (boot as f64 + stat.starttime as f64 / ticks_per_second).floor()
    });
    let resident = (stat.rss * procfs::page_size()) as f64;
    let virtual_bytes = stat.vsize as f64;
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", Some(resident));
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", Some(virtual_bytes));
    gauge("process_threads", "Number of threads.", Some(stat.num_threads as f64));
    gauge("process_start_time_seconds", "Start time since the Unix epoch in seconds.", start);

    let cpu = (stat.utime + stat.stime) as f64 / ticks_per_second;
    let help = "Total user and system CPU time spent in seconds.";
    let samples = vec![counter_sample(Vec::new(), cpu)];
    families.push(family("process_cpu_seconds_total", help, MetricType::COUNTER, samples));
    families
}
