//! What the process takes of the machine, for the metrics (proc_pid_status(5), proc_pid_stat(5)).

/// What the process takes of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) resident_bytes: Option<u64>,
    pub(super) processor_s: Option<f64>,
}

/// Reads it; what cannot be read is absent.
pub(super) async fn usage() -> Usage {
    let status = tokio::fs::read_to_string("/proc/self/status").await.unwrap_or_default();
    let stat = tokio::fs::read_to_string("/proc/self/stat").await.unwrap_or_default();
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100);
    Usage {
        resident_bytes: resident_bytes(&status),
        processor_s: processor_ticks(&stat).map(|used| used / f64::from(ticks)),
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The time in user mode and in the kernel. The name of the program, in brackets, may have spaces.
fn processor_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   12345 kB\n"), Some(12_641_280));
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20";
        assert_eq!(processor_ticks(stat), Some(150.0));
        assert_eq!((resident_bytes(""), processor_ticks("")), (None, None));
    }
}
