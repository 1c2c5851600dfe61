// Anything that somebody may send to gdb's stub, in pieces, by peers that come and go and do not read, while the
// machine stops by itself: answers are packets, and the machine is asked for nothing that it does not have.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "debugger/gdb_session.h"
#include "input.h"
#include "line.h"
#include "monitor/monitor.h"

using namespace armvisor;

namespace {

struct Target final : debugger::DebugTarget {
  bool runs = true;
  std::optional<debugger::Stop> why;
  arm::CpuState states[2] = {arm::reset_state(0, 2), arm::reset_state(1, 2)};
  std::vector<u8> memory = std::vector<u8>(4096);

  static void check(u32 cpu) {
    if (cpu >= 2) fuzz::fail("a vCPU that is not there");
  }
  u32 cpu_count() override { return 2; }
  bool cpu_is_on(u32 cpu) override {
    check(cpu);
    return cpu == 0;
  }
  bool running() override { return runs; }
  void stop() override {
    if (std::exchange(runs, false)) why = debugger::Stop{};
  }
  bool go(std::span<const debugger::Go> cpus, bool) override {
    if (cpus.size() != 2) fuzz::fail("some vCPUs were not told what to do");
    runs = true;
    why.reset();
    return true;
  }
  void quit() override {}
  std::optional<debugger::Stop> take_stop() override { return std::exchange(why, std::nullopt); }
  bool read_state(u32 cpu, arm::CpuState& state) override {
    check(cpu);
    state = states[cpu];
    return !runs;
  }
  bool write_state(u32 cpu, const arm::CpuState& state) override {
    check(cpu);
    if (!arm::mode_is_valid(state.mode())) fuzz::fail("a mode that the CPU does not have");
    states[cpu] = state;
    return !runs;
  }
  bool has(u64 address, std::size_t size) const { return address <= memory.size() && size <= memory.size() - address; }
  bool read_memory(u32 cpu, bool, u64 address, std::span<u8> out) override {
    check(cpu);
    if (!has(address, out.size())) return false;
    std::copy_n(memory.begin() + static_cast<std::ptrdiff_t>(address), out.size(), out.begin());
    return true;
  }
  bool write_memory(u32 cpu, bool, u64 address, std::span<const u8> in) override {
    check(cpu);
    if (!has(address, in.size())) return false;
    std::ranges::copy(in, memory.begin() + static_cast<std::ptrdiff_t>(address));
    return true;
  }
  void accept_waiting() override {}
  void release() override {}
  void set_stops(const arm::ExternalStops& stops) override {
    runs = false;
    if (!std::ranges::is_sorted(stops.breakpoints)) fuzz::fail("breakpoints out of order");
    for (const arm::ExternalWatch& watch : stops.watchpoints)
      if (watch.size == 0 || (!watch.read && !watch.write)) fuzz::fail("a watchpoint for nothing");
  }
  std::string human_command(const std::string& line) override { return line + "\r\n"; }
};

using fuzz::Line;

/// What is said is packets with the right sums, and '+' and '-' between them.
void check_said(std::string_view said) {
  debugger::PacketReader reader;
  bool inside = false;
  for (const char c : said) {
    if (!inside && c != '$' && c != '+' && c != '-') fuzz::fail("something between packets");
    if (c == '$') inside = true;
    const auto event = reader.take(c);
    if (event == debugger::PacketReader::Event::Damaged) fuzz::fail("a packet with a wrong sum");
    if (event == debugger::PacketReader::Event::Packet) inside = false;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 form = in.get<u8>();
  const std::size_t piece = 1 + in.get<u8>();
  Target target;
  Line line;
  debugger::GdbSession* session = nullptr;
  monitor::Monitor m(line, [&](monitor::Session::Say say) {
    auto made = std::make_unique<debugger::GdbSession>(target, std::move(say));
    session = made.get();
    return made;
  });
  std::vector<u8> waiting;
  while (!in.empty()) {
    const auto bytes = in.bytes(piece);
    if (form & 1) {  // sums are hard to guess
      const std::string packet = debugger::make_packet({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      waiting.insert(waiting.end(), packet.begin(), packet.end());
    } else {
      waiting.insert(waiting.end(), bytes.begin(), bytes.end());
    }
    if ((form & 2) && bytes.back() == 0x80) line.tell_opened(line.there = !line.there);
    if (form & 4) line.full = bytes.front() & 1;
    if ((form & 8) && target.runs) {
      target.runs = false;
      target.why = {.why = debugger::Stop::Why::Watch, .cpu = 1, .watch = {0x1000, 4, true, true}};
    }
    session->stopped();
    line.tell_writable();
    const std::size_t taken = line.give(waiting);
    if (taken > waiting.size()) fuzz::fail("more taken than was offered");
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  if (!(form & 6)) check_said(line.said);
  return 0;
}
