#pragma once
// gdb's remote protocol on a line: one gdb at a time, to whom the machine is a process whose threads are the vCPUs. As
// QEMU's stub, which the commands and their answers follow, it stops the machine when somebody connects, and for every
// command that comes while the machine runs.
//
// The peer is not trusted: packets, breakpoints and answers are bounded, and what makes no sense gets an error or,
// where the protocol has it so, an empty answer.
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "debugger/packet_reader.h"
#include "debugger/target.h"
#include "monitor/session.h"

namespace armvisor::debugger {

class GdbSession final : public monitor::Session {
 public:
  static constexpr std::size_t k_most_breakpoints = 4096, k_most_watchpoints = 64;
  static constexpr u32 k_widest_watch = 1u << 20;  ///< bytes

  GdbSession(DebugTarget& target, Say say) : target_(target), say_(std::move(say)) {}

  void opened() override;
  void closed() override;
  std::size_t take(std::string_view bytes) override;

  /// (any thread) The machine has stopped: the target says why. Who calls has no lock that the target takes.
  void stopped();
  /// (any thread, likewise) The machine has ended.
  void ended();

 private:
  static constexpr u32 k_all = ~0u, k_any = ~0u - 1;
  /// A vCPU as a packet names it, from its start on; nothing: it makes no sense, or there is none of that number.
  std::optional<u32> thread(Words& words);
  std::string thread_text(u32 cpu) const;

  /// What a packet is answered with; nothing: what comes next is a stop, or the end. Empty: the packet is not known.
  using Answer = std::optional<std::string>;
  void run(std::string_view packet);
  Answer answer(std::string_view packet);
  void send(std::string_view data);

  Answer run_control(char kind, Words words);
  Answer run_many(Words words);
  void go(const std::vector<Go>& cpus);
  std::string stop_text(const Stop& stop) const;
  std::string select(Words words);
  std::string is_alive(Words words);
  std::string registers();
  std::string set_registers(Words words);
  std::string one_register(Words words);
  std::string set_register(Words words);
  std::string memory(Words words);
  std::string set_memory(Words words, bool binary);
  std::string change_stop(Words words, bool insert);
  bool change_breakpoint(u32 va, bool insert);
  bool change_watchpoint(const arm::ExternalWatch& watch, bool insert);
  void apply_stops();
  void clear_stops();
  std::string detach();
  Answer query(std::string_view packet);
  std::string supported(Words words);
  std::string transfer(Words words);
  std::string extra_info(Words words);
  std::string command(Words words);
  std::string of_qemu(Words words, bool set);
  Answer extended(Words words);

  DebugTarget& target_;
  const Say say_;
  std::mutex mutex_;  // guards what follows; held while the target is asked
  PacketReader reader_;
  bool open_ = false;
  bool acknowledges_ = true;   ///< until QStartNoAckMode
  bool multiprocess_ = false;  ///< thread numbers are "p1.N"
  bool physical_ = false;      ///< addresses of memory are
  bool owes_stop_ = false;     ///< gdb waits to be told of the next stop
  u32 cpu_ = 0;                ///< whose registers and memory are meant (Hg)
  u32 step_cpu_ = 0;           ///< that s and c mean (Hc)
  u32 listed_ = 0;             ///< so many vCPUs were told by qfThreadInfo and qsThreadInfo
  u32 step_flags_ = 7;         ///< as qqemu.sstepbits says
  std::vector<u32> breakpoints_;
  std::vector<arm::ExternalWatch> watchpoints_;
  std::string last_;  ///< packet that was sent
};

}  // namespace armvisor::debugger
