#include "debugger/gdb_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "debugger/registers.h"

namespace armvisor::debugger {
namespace {

// Errors, by the numbers that QEMU gives.
constexpr const char* k_bad = "E22";                               // EINVAL
constexpr const char* k_fault = "E14";                             // EFAULT
constexpr u32 k_enable = 1, k_no_interrupts = 2, k_no_timers = 4;  // of qqemu.sstepbits

}  // namespace

// --- the line

void GdbSession::opened() {
  const std::lock_guard guard(mutex_);
  reader_.reset();
  open_ = acknowledges_ = true;
  multiprocess_ = physical_ = owes_stop_ = false;
  cpu_ = step_cpu_ = 0;
  step_flags_ = k_enable | k_no_interrupts | k_no_timers;
  last_.clear();
  target_.stop();
}

/// A machine that is stopped stays so, as QEMU has it, but nobody would let one that runs go on from a breakpoint.
void GdbSession::closed() {
  const std::lock_guard guard(mutex_);
  open_ = owes_stop_ = false;
  breakpoints_.clear();
  watchpoints_.clear();
  target_.release();
}

std::size_t GdbSession::take(std::string_view bytes) {
  const std::lock_guard guard(mutex_);
  using Event = PacketReader::Event;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const Event event = reader_.take(bytes[n]);
    if (event == Event::None) continue;
    if (event == Event::Packet) {
      if (acknowledges_) say_("+");
      const std::string packet = reader_.packet();
      run(packet);
      return n + 1;
    }
    if (event == Event::Interrupt) target_.stop();
    if (event == Event::Damaged && acknowledges_) say_("-");
    if (event == Event::Again && acknowledges_ && !last_.empty()) say_(last_);
    return n + 1;  // before more is answered, what was said has to find room
  }
  return bytes.size();
}

void GdbSession::send(std::string_view data) {
  last_ = make_packet(data);
  say_(last_);
}

void GdbSession::stopped() {
  const std::lock_guard guard(mutex_);
  const auto stop = target_.take_stop();
  if (!stop || !open_ || !owes_stop_) return;
  owes_stop_ = false;
  const bool of_cpu = stop->why == Stop::Why::Debug || stop->why == Stop::Why::Watch;
  if (of_cpu) step_cpu_ = std::min(stop->cpu, target_.cpu_count() - 1);
  cpu_ = step_cpu_;
  send(stop_text({stop->why, cpu_, stop->watch}));
}

void GdbSession::ended() {
  const std::lock_guard guard(mutex_);
  if (open_) send("W00");
  open_ = false;
}

std::string GdbSession::stop_text(const Stop& stop) const {
  const std::string at = "thread:" + thread_text(stop.cpu) + ";";
  switch (stop.why) {
    case Stop::Why::Paused: return "T02" + at;
    case Stop::Why::Debug: return "T05" + at;
    case Stop::Why::Shutdown: return "T03" + at;
    case Stop::Why::Watch: break;
  }
  const char* const kind = stop.watch.read ? stop.watch.write ? "awatch" : "rwatch" : "watch";
  return fmt::format("T05{}{}:{:x};", at, kind, stop.watch.va);
}

// --- threads: vCPU 0 is 1

std::string GdbSession::thread_text(u32 cpu) const {
  return multiprocess_ ? fmt::format("p01.{:02x}", cpu + 1) : fmt::format("{:02x}", cpu + 1);
}

std::optional<u32> GdbSession::thread(Words& words) {
  u64 number = 0;
  if (words.skip("p")) {
    if (!words.skip("-1") && (!words.number(number) || number > 1)) return {};
    if (!words.skip(".")) return k_all;
  }
  if (words.skip("-1")) return k_all;
  if (!words.number(number) || number > target_.cpu_count()) return {};
  return number == 0 ? k_any : static_cast<u32>(number - 1);
}

std::string GdbSession::select(Words words) {
  const bool for_steps = words.skip("c");
  if (!for_steps && !words.skip("g")) return k_bad;
  const auto cpu = thread(words);
  if (!cpu) return k_bad;
  if (*cpu < target_.cpu_count()) (for_steps ? step_cpu_ : cpu_) = *cpu;
  return "OK";
}

std::string GdbSession::is_alive(Words words) {
  const auto cpu = thread(words);
  return cpu && *cpu < target_.cpu_count() ? "OK" : k_bad;
}

// --- packets

void GdbSession::run(std::string_view packet) {
  if (target_.running()) target_.stop();
  if (packet.empty()) return send({});
  if (const Answer text = answer(packet)) send(*text);
}

GdbSession::Answer GdbSession::answer(std::string_view packet) {
  const Words words(packet.substr(1));
  switch (packet[0]) {
    case '!': return "OK";
    case '?': clear_stops(); return stop_text({.why = Stop::Why::Debug, .cpu = cpu_});
    case 'c':
    case 'C':
    case 's':
    case 'S': return run_control(packet[0], words);
    case 'D': return detach();
    case 'g': return registers();
    case 'G': return set_registers(words);
    case 'H': return select(words);
    case 'k': target_.quit(); return {};
    case 'm': return memory(words);
    case 'M': return set_memory(words, false);
    case 'p': return one_register(words);
    case 'P': return set_register(words);
    case 'q':
    case 'Q': return query(packet);
    case 'T': return is_alive(words);
    case 'v': return extended(words);
    case 'X': return set_memory(words, true);
    case 'z': return change_stop(words, false);
    case 'Z': return change_stop(words, true);
    default: return "";
  }
}

std::string GdbSession::detach() {
  clear_stops();
  target_.accept_waiting();
  target_.go(std::vector(target_.cpu_count(), Go::Run), true);
  return "OK";
}

GdbSession::Answer GdbSession::extended(Words words) {
  if (words.skip("Cont?")) return "vCont;c;C;s;S;t";
  if (words.skip("Cont")) return run_many(words);
  if (words.skip("Attach;")) return stop_text({.why = Stop::Why::Debug, .cpu = cpu_});
  if (words.skip("Kill;")) {
    target_.quit();
    return "OK";
  }
  return "";
}

// --- going on

void GdbSession::go(const std::vector<Go>& cpus) {
  owes_stop_ = true;
  target_.accept_waiting();
  if (!target_.go(cpus, (step_flags_ & k_no_interrupts) == 0)) {
    owes_stop_ = false;
    send(stop_text({.why = Stop::Why::Shutdown, .cpu = cpu_}));
  }
}

/// "c[ADDRESS]", "CSIGNAL[;ADDRESS]", "s...", "S...". Signals mean nothing to a machine.
GdbSession::Answer GdbSession::run_control(char kind, Words words) {
  u64 number = 0;
  const bool signal = kind == 'C' || kind == 'S';
  if (signal && !words.number(number)) return k_bad;
  if ((!signal || words.skip(";")) && words.number(number)) {
    arm::CpuState state;
    if (!target_.read_state(step_cpu_, state)) return k_bad;
    state.r[15] = static_cast<u32>(number) & (state.thumb() ? ~1u : ~3u);
    if (!target_.write_state(step_cpu_, state)) return k_bad;
  }
  std::vector<Go> cpus(target_.cpu_count(), Go::Run);
  if (kind == 's' || kind == 'S') cpus[step_cpu_] = Go::Step;
  go(cpus);
  return {};
}

/// "vCont;ACTION[:THREAD]...": of the actions for a vCPU the first counts; what has none stays.
GdbSession::Answer GdbSession::run_many(Words words) {
  std::vector<std::optional<Go>> wanted(target_.cpu_count());
  while (words.skip(";")) {
    const std::string_view word = words.rest().substr(0, words.rest().find(';'));
    words.skip(word);
    Words action(word);
    Go go = Go::Run;
    u64 signal = 0;
    if (action.skip("c") || (action.skip("C") && action.number(signal)))
      go = Go::Run;
    else if (action.skip("s") || (action.skip("S") && action.number(signal)))
      go = Go::Step;
    else if (action.skip("t"))
      go = Go::Stay;
    else
      return k_bad;
    std::optional<u32> cpu = k_all;
    if (action.skip(":")) cpu = thread(action);
    if (!cpu || !action.empty()) return k_bad;
    if (*cpu == k_any) cpu = step_cpu_;
    for (u32 n = 0; n < wanted.size(); ++n)
      if ((*cpu == k_all || *cpu == n) && !wanted[n]) wanted[n] = go;
  }
  if (!words.empty() || std::ranges::none_of(wanted, [](const auto& w) { return w.has_value(); })) return k_bad;
  std::vector<Go> cpus;
  for (const auto& w : wanted) cpus.push_back(w.value_or(Go::Stay));
  go(cpus);
  return {};
}

// --- registers

std::string GdbSession::registers() {
  arm::CpuState state;
  std::string bytes;
  if (!target_.read_state(cpu_, state)) return k_fault;
  for (const u32 n : k_core_registers) read_register(state, n, bytes);
  return to_hex(bytes);
}

std::string GdbSession::set_registers(Words words) {
  arm::CpuState state;
  std::string bytes;
  if (!from_hex(words.rest(), bytes) || bytes.size() < 4 * std::size(k_core_registers)) return k_bad;
  if (!target_.read_state(cpu_, state)) return k_fault;
  // CPSR first: the others are those of its mode.
  std::size_t at = 4 * std::size(k_core_registers);
  for (std::size_t n = std::size(k_core_registers); n-- > 0;)
    write_register(state, k_core_registers[n], std::string_view(bytes).substr(at -= 4, 4));
  return target_.write_state(cpu_, state) ? "OK" : k_fault;
}

std::string GdbSession::one_register(Words words) {
  u64 number = 0;
  arm::CpuState state;
  std::string bytes;
  if (!words.number(number) || !target_.read_state(cpu_, state)) return k_bad;
  return read_register(state, number, bytes) ? to_hex(bytes) : k_fault;
}

std::string GdbSession::set_register(Words words) {
  u64 number = 0;
  arm::CpuState state;
  std::string bytes;
  if (!words.number(number) || !words.skip("=") || !from_hex(words.rest(), bytes)) return k_bad;
  if (!target_.read_state(cpu_, state) || !write_register(state, number, bytes)) return k_fault;
  return target_.write_state(cpu_, state) ? "OK" : k_fault;
}

// --- memory

std::string GdbSession::memory(Words words) {
  u64 address = 0, size = 0;
  if (!words.number(address) || !words.skip(",") || !words.number(size) || size > k_max_packet / 2) return k_bad;
  std::vector<u8> bytes(size);
  return target_.read_memory(cpu_, physical_, address, bytes) ? to_hex(bytes) : k_fault;
}

std::string GdbSession::set_memory(Words words, bool binary) {
  u64 address = 0, size = 0;
  std::string bytes;
  if (!words.number(address) || !words.skip(",") || !words.number(size) || !words.skip(":")) return k_bad;
  if (binary)
    bytes = unescape(words.rest());
  else if (!from_hex(words.rest(), bytes))
    return k_bad;
  if (bytes.size() != size) return k_bad;
  const std::span<const u8> in(reinterpret_cast<const u8*>(bytes.data()), bytes.size());
  return target_.write_memory(cpu_, physical_, address, in) ? "OK" : k_fault;
}

// --- breakpoints and watchpoints

/// "KIND,ADDRESS,LENGTH": breakpoints of software and hardware are the same here.
std::string GdbSession::change_stop(Words words, bool insert) {
  u64 kind = 0, address = 0, size = 0;
  if (!words.number(kind) || !words.skip(",") || !words.number(address) || !words.skip(",") || !words.number(size))
    return k_bad;
  if (kind > 4) return "";
  if (address > std::numeric_limits<u32>::max()) return k_bad;
  const u32 va = static_cast<u32>(address);
  bool done = false;
  if (kind < 2)
    done = change_breakpoint(va, insert);
  else if (size != 0 && size <= k_widest_watch)
    done = change_watchpoint({va, static_cast<u32>(size), kind != 2, kind != 3}, insert);
  return done ? "OK" : k_bad;
}

bool GdbSession::change_breakpoint(u32 va, bool insert) {
  const auto at = std::ranges::find(breakpoints_, va);
  if (insert) {
    if (breakpoints_.size() >= k_most_breakpoints) return false;
    breakpoints_.push_back(va);
  } else {
    if (at == breakpoints_.end()) return false;
    breakpoints_.erase(at);
  }
  apply_stops();
  return true;
}

bool GdbSession::change_watchpoint(const arm::ExternalWatch& watch, bool insert) {
  const auto at = std::ranges::find(watchpoints_, watch);
  if (insert) {
    if (watchpoints_.size() >= k_most_watchpoints) return false;
    watchpoints_.push_back(watch);
  } else {
    if (at == watchpoints_.end()) return false;
    watchpoints_.erase(at);
  }
  apply_stops();
  return true;
}

void GdbSession::apply_stops() {
  arm::ExternalStops stops{breakpoints_, watchpoints_};
  std::ranges::sort(stops.breakpoints);
  const auto twice = std::ranges::unique(stops.breakpoints);
  stops.breakpoints.erase(twice.begin(), twice.end());
  target_.set_stops(stops);
}

void GdbSession::clear_stops() {
  breakpoints_.clear();
  watchpoints_.clear();
  apply_stops();
}

}  // namespace armvisor::debugger
