//! Before everything else on the machine: a frame of 10 ms must not wait for a busy processor.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// Before all that is not real time, behind the kernel's own threads for interrupts, which have 50.
const PRIORITY: u8 = 20;

/// Gives the calling thread real-time priority (sched(7), `SCHED_FIFO`); gives whether the system allows it, which
/// takes `LimitRTPRIO=` or `CAP_SYS_NICE`.
pub(super) fn become_realtime() -> bool {
    let Ok(priority) = PRIORITY.try_into() else { return false };
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .is_ok()
}

/// Processor time of the calling thread.
pub(super) fn processor_time_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000 + nanoseconds.unwrap_or(0) / 1_000
}
