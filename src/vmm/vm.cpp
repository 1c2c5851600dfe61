#include "vmm/vm.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/log.h"
#include "devices/backends/terminal.h"
#include "devices/ninep/shared_folder.h"
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
  stop_threads();
  if (debugger_) debugger_->stop_thread();  // which uses what goes next
  if (chardevs_) chardevs_->stop();
  monitors_.clear();
  debugger_.reset();
  discard_threads();
  {
    const std::lock_guard guard(machine_mutex_);
    machine_.reset();
  }
  links_.clear();  // their scripts may take long: a signal still ends that
  if (loop_) loop_->stop();
  semihosting_.reset();  // to which the loop's handlers speak (give_up_output())
}

Status Vm::open() {
  AV_TRY_ASSIGN(stop_, StopEvent::create());
  AV_TRY_ASSIGN(loop_, machine::EventLoop::create());
  AV_TRY(watch_signals());
  time_.emplace(clock_, *loop_);
  timeout_timer_ = loop_->add([this] { end(EndReason::TimedOut, "host-ui"); });
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

Status Vm::build() {
  AV_TRY_ASSIGN(flash_, machine::FlashBanks::create(*config_.boot.board, config_.boot.firmware, config_.boot.flash,
                                                    config_.boot.first_blank_bank()));
  AV_TRY(open_dumps());
  AV_TRY(loop_->start());
  AV_TRY(open_chardevs());
  AV_TRY(open_semihosting());
  AV_TRY(open_disks());
  AV_TRY(open_links());
  AV_TRY(open_shares());
  for (const auto& dump : dumps_) AV_TRY(dump->start());
  AV_TRY(build_machine());
  if (config_.name.empty()) return {};
  const auto session = [this] { return StatsSession([this] { return stats(); }); };
  AV_TRY_ASSIGN(control_, ControlServer::open(config_.name, *loop_, session));
  return {};
}

/// Servers of disks may keep it waiting, so signals and the time limit are served meanwhile.
Status Vm::open_disks() {
  return machine::for_each_disk(config_.devices, [this](const machine::DiskSpec& disk) -> Status {
    AV_TRY_ASSIGN(auto opened, devices::open_disk(disk, stop_.get()));
    const std::lock_guard guard(mutex_);
    disks_.push_back(std::move(opened));
    return {};
  });
}

Status Vm::open_links() {
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const network = std::get_if<machine::NetworkSpec>(&spec);
    if (!network) continue;
    if (network->tap) {
      AV_TRY_ASSIGN(auto tap, devices::TapLink::open(*network->tap, stop_.get()));
      links_.push_back(std::move(tap));
    } else if (network->link) {
      AV_TRY_ASSIGN(auto link, devices::FrameLink::open(*network->link, stop_.get()));
      links_.push_back(std::move(link));
    }
  }
  return {};
}

Status Vm::open_shares() {
  const auto shares = std::ranges::count_if(
      config_.devices, [](const auto& spec) { return std::holds_alternative<machine::ShareSpec>(spec); });
  if (shares == 0) return {};
  const auto limits = devices::ninep::ShareLimits::of_process(static_cast<std::size_t>(shares));
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const share = std::get_if<machine::ShareSpec>(&spec);
    if (!share) continue;
    AV_TRY_ASSIGN(auto folder, devices::ninep::SharedFolder::create(*share, limits));
    shares_.push_back(std::move(folder));
  }
  return {};
}

Status Vm::open_dumps() {
  const std::vector<std::string> inputs = machine::input_files(config_.boot);
  for (const machine::DeviceSpec& spec : config_.devices) {
    const auto* const network = std::get_if<machine::NetworkSpec>(&spec);
    if (!network) continue;
    for (const devices::DumpOptions& options : network->dumps) {
      AV_TRY_ASSIGN(auto dump, devices::PacketDump::open(options, inputs));
      const std::lock_guard guard(mutex_);
      dumps_.push_back(std::move(dump));
    }
  }
  return {};
}

/// Whoever listens may keep it waiting: as with disks.
Status Vm::open_chardevs() {
  AV_TRY_ASSIGN(auto opened, devices::Chardevs::open(config_.chardevs,
                                                     {.inputs = machine::input_files(config_.boot),
                                                      .quit = [this] { end(EndReason::Interrupted, "host-ui"); }},
                                                     stop_->fd()));
  {
    const std::lock_guard guard(mutex_);
    chardevs_ = std::move(opened);
    if (given_up_) chardevs_->give_up();
  }
  return use_chardevs();
}

/// Of several users of one chardev the last has the focus: the serial line, also before semihosting's console, as with
/// QEMU, unless a virtio port shares it.
Status Vm::use_chardevs() {
  for (const MonitorSpec& spec : config_.monitors) {
    AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(spec.chardev));
    monitor_lines_.push_back(line);
  }
  AV_TRY_ASSIGN(gdb_line_, chardevs_->use(config_.gdb));
  if (config_.semihosting) {
    AV_TRY_ASSIGN(semihosting_line_, chardevs_->use(config_.semihosting->console));
  }
  AV_TRY_ASSIGN(lines_.uart, chardevs_->use(config_.console));
  AV_TRY_ASSIGN(lines_.second_uart, chardevs_->use(config_.second_console));
  for (const machine::DeviceSpec& spec : config_.devices) {
    if (const auto* const card = std::get_if<machine::NetworkSpec>(&spec); card && card->is_user())
      for (const devices::GuestForward& forward : card->network.guest_forwards) {
        if (!forward.is_line()) continue;
        AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(forward.line));
        lines_.forwards.push_back(line);
      }
    const auto* const console = std::get_if<machine::ConsoleSpec>(&spec);
    if (!console) continue;
    for (const machine::PortSpec& port : console->ports) {
      AV_TRY_ASSIGN(devices::Chardev* const line, chardevs_->use(port.chardev));
      lines_.ports.push_back(line);
    }
  }
  return {};
}

Status Vm::open_semihosting() {
  if (!config_.semihosting) return {};
  const bool stdin_taken = std::ranges::any_of(
      config_.chardevs, [](const auto& c) { return c.kind == devices::ChardevOptions::Kind::Stdio; });
  AV_TRY_ASSIGN(auto opened,
                machine::Semihosting::create(config_.semihosting->options,
                                             {.line = semihosting_line_, .read_stdin = !stdin_taken}, *this));
  const std::lock_guard guard(mutex_);
  semihosting_ = std::move(opened);
  if (given_up_) semihosting_->console().give_up();
  return {};
}

/// null: it is not open yet, or there is none.
machine::Semihosting* Vm::semihosting() {
  const std::lock_guard guard(mutex_);
  return semihosting_.get();
}

/// Who waits for a reader of output on a vCPU's thread does not, until it is over.
void Vm::hurry(bool begin) {
  chardevs_->hurry(begin);
  if (semihosting_) semihosting_->hurry(begin);
}

/// null: they are not open yet.
devices::Chardevs* Vm::chardevs() {
  const std::lock_guard guard(mutex_);
  return chardevs_.get();
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
      if (auto* const all = chardevs()) all->look_at_sizes();
      continue;
    }
    if (info.ssi_signo == SIGTSTP) {
      // While it is stopped the terminal is the shell's.
      devices::restore_terminal();
      stop_process();
    }
    if (info.ssi_signo == SIGTSTP || info.ssi_signo == SIGCONT) {
      if (auto* const all = chardevs()) all->continued();
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
    return engine::make_engine(config_.engine, c, config_.jit);
  };
  AV_TRY_ASSIGN(auto built,
                machine::Machine::create(
                    plan_, config_.boot, {devices_, config_.seats, config_.legacy_virtio, config_.io}, make_engine,
                    {*time_, *time_, *flash_, *this, disks_, links_, dumps_, lines_, semihosting_.get(), shares_}));
  const std::lock_guard guard(machine_mutex_);
  machine_ = std::move(built);
  return {};
}

Status Vm::start_threads() {
  engine::Engine& engine = machine_->engine();
  const std::lock_guard one_at_a_time(state_mutex_);
  const std::unique_lock guard(threads_mutex_);
  const bool runs = state_ == monitor::RunState::Running;
  for (u32 i = 0; i < config_.boot.vcpus; ++i)
    threads_.push_back(std::make_unique<VcpuThread>(
        engine.vcpu(i), i, config_.boot.vcpus, [this] { vcpu_runs(); },
        [this] { end(EndReason::Crashed, "guest-panic", true); }, [this] { end(EndReason::Differs, "host-error"); },
        [this, i] { debug_stop(i); }));
  if (debugger_) debugger_->machine_made(engine);
  // The one that runs is the last, so a guest begins only when all of its machine is there.
  for (u32 i = config_.boot.vcpus; i-- > 0;) {
    threads_[i]->step(runs && going(i) == debugger::Go::Step, steps_take_interrupts_);
    AV_TRY(threads_[i]->start(i == 0, !runs || going(i) == debugger::Go::Stay));
  }
  return {};
}

void Vm::stop_threads() {
  // All are told before the first is waited for: they may wait for each other inside the engine.
  if (threads_.empty()) return;  // of a start that failed, without chardevs
  for (auto& thread : threads_) thread->request_stop();
  hurry(true);
  for (auto& thread : threads_) thread->stop();
  hurry(false);
}

void Vm::discard_threads() {
  const std::unique_lock guard(threads_mutex_);
  threads_.clear();
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
  if (Status started = chardevs_->wait_for_peers(stop_->fd()); !started) {
    if (const auto reason = ended_early()) return *reason;
    return started.take_error();
  }
  std::unique_lock making(making_mutex_);
  AV_TRY(chardevs_->start());
  if (config_.on_start) AV_TRY(config_.on_start());
  while (true) {
    AV_TRY(start_threads());
    making.unlock();
    const End ended = wait_for_end_or_reset();
    stop_threads();
    if (!is_reset(ended)) {
      tell_end(ended);
      if (debugger_) debugger_->ended();
    }
    machine_->finish_output(!is_reset(ended));
    if (semihosting_) semihosting_->console().finish(!is_reset(ended));
    making.lock();
    std::unique_ptr<machine::Machine> old;
    {
      const std::lock_guard guard(machine_mutex_);
      discard_threads();
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
  stop_threads();  // of which another could be about to turn it off, too
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
  ended_.wait(lock, [this] { return end_.has_value(); });
  return *end_;
}

void Vm::end(EndReason reason, const char* cause, bool by_guest, u32 guest_status) {
  if (reason == EndReason::TimedOut || reason == EndReason::Interrupted) give_up_output();
  // Held to the end: the threads that are told to stop are those of this machine, not those of the one after a reset.
  const std::shared_lock threads_guard(threads_mutex_);
  bool goes_on = false;
  {
    const std::lock_guard guard(mutex_);
    // The first reason stands, but while a reset is under way the user's wish to end is stronger.
    if (end_ && end_->reason != EndReason::Reset) return;
    end_ = End{reason, cause, by_guest, guest_status};
    goes_on = is_reset(*end_) || (reason == EndReason::PoweredOff && config_.keep_when_off);
    if (!goes_on)
      for (const auto& disk : disks_) disk->machine_ends();
  }
  ended_.notify_all();
  if (!goes_on) stop_->set();
  // The vCPU that asked for the end must not run on.
  for (auto& thread : threads_) thread->request_stop();
}

// --- output: who writes waits for the reader, but no longer than the machine may run

void Vm::give_up_output() {
  if (auto* const all = chardevs()) all->give_up();
  if (auto* const calls = semihosting()) calls->console().give_up();
  give_up_messages();
  if (config_.give_up) config_.give_up();
  const std::lock_guard guard(mutex_);
  given_up_ = true;
  for (const auto& dump : dumps_) dump->give_up();
  for (Outlet* const outlet : last_words_) outlet->give_up();
}

void Vm::drain() {
  if (chardevs_) chardevs_->drain();
  if (semihosting_) semihosting_->console().drain();
  for (const auto& dump : dumps_) dump->drain();
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

// --- called by the machine

void Vm::vcpu_input(u32 index) {
  const std::shared_lock guard(threads_mutex_);
  if (index < threads_.size()) threads_[index]->wake();
}

void Vm::wake_in_call(u32 vcpu) {
  const std::shared_lock guard(threads_mutex_);
  if (vcpu < threads_.size()) threads_[vcpu]->end_wait();
}

void Vm::send_event() {
  for (auto& thread : threads_) thread->event();
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
  bool awake = false;
  {
    const std::shared_lock guard(threads_mutex_);
    for (auto& thread : threads_) {
      awake = awake || !thread->sleeping();
      thread->sample();
    }
  }
  sampling_ = false;
  if (awake) vcpu_runs();
}

}  // namespace armvisor::vmm
