#include "vmm/vm.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log.h"
#include "devices/backends/terminal.h"
#include "engine/engine.h"
#include "machine/image.h"
#include "vmm/signals.h"

namespace armvisor::vmm {
namespace {
/// How often a running guest is looked at for a crash. A machine whose vCPUs all sleep is not looked at.
constexpr u64 k_sample_ns = 100'000'000;

machine::CallStatus call_status(measure::Marks::Outcome outcome) {
  using Outcome = measure::Marks::Outcome;
  switch (outcome) {
    case Outcome::Done: return machine::CallStatus::Success;
    case Outcome::BadName: return machine::CallStatus::InvalidParameter;
    case Outcome::NoRoom: return machine::CallStatus::NoRoom;
    case Outcome::NotOpen: return machine::CallStatus::NotFound;
  }
  return machine::CallStatus::InvalidParameter;
}
}  // namespace

Result<std::unique_ptr<Vm>> Vm::create(VmConfig config) {
  std::unique_ptr<Vm> vm(new Vm(std::move(config)));
  AV_TRY(vm->open());
  const Status loaded = vm->load();
  // What could not be read since the machine was ended meanwhile is no error: run() says how it ended.
  if (!loaded && !vm->ended_early()) return loaded.error();
  return vm;
}

Vm::~Vm() {
  control_.reset();
  threads_.stop();
  if (loop_) loop_->remove(balloon_timer_);  // which tells monitors
  if (debugger_) debugger_->stop_thread();   // which uses what goes next
  resources_.stop_chardevs();
  monitors_.clear();
  debugger_.reset();
  threads_.discard();
  {
    const std::lock_guard guard(machine_mutex_);
    machine_.reset();
  }
  resources_.close_links();  // their scripts may take long: a signal still ends that
  if (loop_) loop_->stop();
  resources_.close_semihosting();  // to which the loop's handlers speak (give_up_output())
}

Vm::Vm(VmConfig config)
    : config_(std::move(config)),
      devices_(config_.devices),
      resources_(config_),
      threads_(config_.boot.vcpus, config_.guest_timeout_ms != 0,
               config_.semihosting ? ThreadKind::Vcpu | ThreadKind::Files : ThreadKind::Vcpu,
               {.on_run = [this] { vcpu_runs(); },
                .on_crash = [this] { end(EndReason::Crashed, "guest-panic", true); },
                .on_difference = [this] { end(EndReason::Differs, "host-error"); },
                .on_debug = [this](u32 cpu) { debug_stop(cpu); },
                .hurry = [this](bool begin) { resources_.hurry(begin); }}) {}

Status Vm::open() {
  AV_TRY_ASSIGN(stop_, StopEvent::create());
  AV_TRY_ASSIGN(loop_, machine::EventLoop::create());
  AV_TRY(watch_signals());
  time_.emplace(clock_, *loop_);
  timeout_timer_ = loop_->add([this] { end(EndReason::TimedOut, "host-ui"); });
  balloon_timer_ = loop_->add([this] { tell_balloon(); });
  sample_timer_ = loop_->add([this] { sample_vcpus(); });
  if (config_.timeout_ms) loop_->arm(timeout_timer_, clock_.now_ns() + config_.timeout_ms * 1'000'000);
  return {};
}

/// The files may be pipes, so signals and the time limit are served meanwhile. Consoles are not: a terminal is still as
/// the user has it, and gives signals.
Status Vm::load() {
  AV_TRY(loop_->start());
  auto plan = machine::plan_boot(config_.boot, stop_.get());
  loop_->stop();
  if (!plan) return plan.take_error();
  plan_ = *std::move(plan);
  return {};
}

std::optional<EndReason> Vm::ended_early() {
  const std::lock_guard guard(mutex_);
  return end_ ? std::optional(end_->reason) : std::nullopt;
}

/// Others may keep it waiting, so signals and the time limit are served meanwhile.
Status Vm::build() {
  AV_TRY(resources_.open_files());
  AV_TRY(loop_->start());
  AV_TRY(resources_.open_rest(
      *stop_, [this] { end(EndReason::Interrupted, "host-ui"); }, *this));
  AV_TRY(build_machine());
  if (config_.name.empty()) return {};
  const auto session = [this] { return StatsSession([this] { return stats(); }); };
  AV_TRY_ASSIGN(control_, ControlServer::open(config_.name, *loop_, session));
  return {};
}

Status Vm::watch_signals() {
  const sigset_t set = watched_signals(config_.more_signals);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return host_error("signals: expected a signalfd", errno, "end other programs");
  loop_->watch(signals_.get(), EPOLLIN, [this](u32) { signalled(); });
  return {};
}

void Vm::signalled() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (config_.signalled && config_.signalled(static_cast<int>(info.ssi_signo))) continue;
    if (info.ssi_signo == SIGWINCH) {
      if (auto* const all = resources_.chardevs()) all->look_at_sizes();
      continue;
    }
    if (info.ssi_signo == SIGTSTP) {
      // While it is stopped the terminal is the shell's.
      devices::restore_terminal();
      stop_process();
    }
    if (info.ssi_signo == SIGTSTP || info.ssi_signo == SIGCONT) {
      if (auto* const all = resources_.chardevs()) all->continued();
      continue;
    }
    bool again = false;
    {
      const std::lock_guard guard(mutex_);
      again = std::exchange(ending_, true);
    }
    if (again && config_.force_end) config_.force_end();
    end(EndReason::Interrupted, "host-signal");
  }
}

Status Vm::build_machine() {
  const auto make_engine = [this](engine::EngineConfig c) {
    c.trace = config_.trace;
    c.count_time = config_.count_time;
    c.mmu = config_.mmu;
    c.verify = config_.verify;
    if (config_.semihosting)
      c.semihosting =
          config_.semihosting->options.everybody ? arm::Semihosting::Everybody : arm::Semihosting::Privileged;
    engine::JitOptions jit = config_.jit;
    jit.kept_code = kept_code_;
    return engine::make_engine(config_.engine, c, jit);
  };
  AV_TRY_ASSIGN(auto built, machine::Machine::create(plan_, config_.boot,
                                                     {devices_, config_.seats, config_.legacy_virtio, config_.io},
                                                     make_engine, resources_.world(*time_, *time_, *this)));
  const std::lock_guard guard(machine_mutex_);
  machine_ = std::move(built);
  return {};
}

Status Vm::start_threads() {
  const std::lock_guard one_at_a_time(state_mutex_);
  if (debugger_) debugger_->machine_made(machine_->engine());
  AV_TRY(threads_.start(machine_->engine(), state_ == monitor::RunState::Running));
  const std::lock_guard guard(watch_mutex_);
  if (config_.stall_s) {
    const u64 ns = u64{config_.stall_s} * 1'000'000'000;
    stall_watch_.emplace(static_cast<u32>(ns / k_sample_ns), ns);
  }
  return {};
}

Result<EndReason> Vm::run() {
  if (const auto reason = ended_early()) return *reason;
  if (Status built = build(); !built) {
    // As in create(): whoever ended the machine meanwhile has what was wanted.
    if (const auto reason = ended_early()) return *reason;
    return built.take_error();
  }
  {
    const std::lock_guard guard(machine_mutex_);
    started_ns_ = clock_.now_ns();
  }
  if (config_.stopped) {
    state_ = monitor::RunState::Prelaunch;
    time_->stop();
  }
  AV_TRY(start_monitors());
  if (Status started = resources_.chardevs()->wait_for_peers(stop_->fd()); !started) {
    if (const auto reason = ended_early()) return *reason;
    return started.take_error();
  }
  std::unique_lock making(making_mutex_);
  AV_TRY(resources_.chardevs()->start());
  if (config_.on_start) AV_TRY(config_.on_start());
  if (Sandbox* const sandbox = Sandbox::current())
    AV_TRY(sandbox->narrow_main(std::array{threads_.kind(), ThreadKind::Outlet | ThreadKind::Names}));
  while (true) {
    AV_TRY(start_threads());
    making.unlock();
    const End ended = wait_for_end_or_reset();
    threads_.stop();
    if (!is_reset(ended)) {
      tell_end(ended);
      if (debugger_) debugger_->ended();
    }
    machine_->finish_output(!is_reset(ended));
    resources_.finish_output(!is_reset(ended));
    making.lock();
    std::unique_ptr<machine::Machine> old;
    {
      const std::lock_guard guard(machine_mutex_);
      threads_.discard();
      measure::accumulate(past_, machine_->stats());
      old = std::move(machine_);
    }
    // Its devices may wait for a disk's server, and who asks for counters must not. Input that comes while there is no
    // machine waits in its chardev.
    old.reset();
    if (!is_reset(ended)) return ended.reason;
    AV_TRY(build_machine());
    {
      // Before anybody is told, who may then ask for another at once.
      const std::lock_guard guard(mutex_);
      if (end_->reason == EndReason::Reset) end_.reset();
    }
    tell_end(ended);
  }
}

/// A machine that the guest turned off, and that is kept, waits for a monitor to say what becomes of it.
Vm::End Vm::wait_for_end_or_reset() {
  const End ended = wait_for_end();
  if (ended.reason != EndReason::PoweredOff || !config_.keep_when_off) return ended;
  threads_.stop();  // of which another could be about to turn it off, too
  {
    // Before anybody is told, who may then ask for a reset at once.
    const std::lock_guard guard(mutex_);
    if (end_->reason == EndReason::PoweredOff) end_.reset();
  }
  tell_end(ended);
  stop_as(monitor::RunState::Shutdown);
  return wait_for_end();
}

Vm::End Vm::wait_for_end() {
  std::unique_lock lock(mutex_);
  while (true) {
    ended_.wait(lock, [this] { return end_.has_value() || errand_; });
    const auto errand = std::exchange(errand_, std::nullopt);
    if (end_) return *end_;
    lock.unlock();
    if (errand) run_errand(*errand);
    lock.lock();
  }
}

void Vm::end(EndReason reason, const char* cause, bool by_guest, u32 guest_status) {
  if (reason == EndReason::TimedOut || reason == EndReason::GuestTimedOut || reason == EndReason::Interrupted)
    give_up_output();
  // Held to the end: the threads that are told to stop are those of this machine, not those of the one after a reset.
  const auto present = threads_.hold();
  bool goes_on = false;
  {
    const std::lock_guard guard(mutex_);
    // The first reason stands, but while a reset is under way the user's wish to end is stronger.
    if (end_ && end_->reason != EndReason::Reset) return;
    end_ = End{reason, cause, by_guest, guest_status};
    goes_on = is_reset(*end_) || (reason == EndReason::PoweredOff && config_.keep_when_off);
    if (!goes_on) resources_.machine_ends();
  }
  ended_.notify_all();
  if (!goes_on) stop_->set();
  // The vCPU that asked for the end must not run on.
  threads_.request_stop(present);
}

// --- output: who writes waits for the reader, but no longer than the machine may run

void Vm::give_up_output() {
  resources_.give_up();
  give_up_messages();
  if (config_.give_up) config_.give_up();
  const std::lock_guard guard(mutex_);
  given_up_ = true;
  for (Outlet* const outlet : last_words_) outlet->give_up();
}

void Vm::drain() {
  resources_.drain();
  drain_messages();
}

Status Vm::write_fdt(OutputFile file) {
  if (ended_early()) return {};
  AV_TRY(loop_->start());
  const Status written = write(std::move(file), {reinterpret_cast<const char*>(plan_.fdt.data()), plan_.fdt.size()});
  loop_->stop();
  return written;
}

Status Vm::write(OutputFile file, std::string_view text) {
  AV_TRY(file.empty());
  AV_TRY_ASSIGN(const auto outlet, Outlet::create(std::move(file).take()));
  {
    const std::lock_guard guard(mutex_);
    last_words_.push_back(outlet.get());
    if (given_up_) outlet->give_up();
  }
  outlet->write({reinterpret_cast<const u8*>(text.data()), text.size()});
  outlet->drain();
  const Outlet::Loss loss = outlet->close();
  {
    const std::lock_guard guard(mutex_);
    std::erase(last_words_, outlet.get());
  }
  if (loss.error || loss.bytes) return file.failed(loss.error ? loss.error : EAGAIN);
  return {};
}

// --- counters

/// On a vCPU's thread, or with machine_mutex_.
measure::Snapshot Vm::snapshot() {
  measure::Snapshot all = past_;
  if (machine_) measure::accumulate(all, machine_->stats());
  if (started_ns_) all.ns = clock_.now_ns() - started_ns_;
  return all;
}

Stats Vm::stats() {
  const std::lock_guard guard(machine_mutex_);
  return {snapshot(), marks_.totals()};
}

machine::CallStatus Vm::mark_begin(std::string_view name) { return call_status(marks_.begin(name, snapshot())); }
machine::CallStatus Vm::mark_end(std::string_view name) { return call_status(marks_.end(name, snapshot())); }

// --- looking for a crash

void Vm::vcpu_runs() {
  if (!sampling_.exchange(true)) loop_->arm(sample_timer_, clock_.now_ns() + k_sample_ns);
}

void Vm::sample_vcpus() {
  const bool awake = threads_.sample();
  if (const auto over = watch_time()) end(*over, "host-ui");
  sampling_ = false;
  if (awake || watches_time()) vcpu_runs();
}

std::optional<EndReason> Vm::watch_time() {
  if (!watches_time() || state_ != monitor::RunState::Running) return std::nullopt;
  const u64 since = clock_.now_ns() - started_ns_;
  if (config_.guest_timeout_ms && since > config_.guest_timeout_ms * 1'000'000 + threads_.delay_ns())
    return EndReason::GuestTimedOut;
  const std::lock_guard guard(watch_mutex_);
  if (!stall_watch_) return std::nullopt;
  const auto looks = threads_.looks([this](u32 cpu) { return machine_->timer_armed(cpu); });
  return stall_watch_->look(looks) ? std::optional(EndReason::Stalled) : std::nullopt;
}

}  // namespace armvisor::vmm
