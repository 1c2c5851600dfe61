// The packets q and Q.
#include <fmt/format.h>

#include <algorithm>

#include "debugger/gdb_session.h"
#include "debugger/registers.h"

namespace armvisor::debugger {
namespace {
constexpr const char* k_bad = "E22";
constexpr std::size_t k_console_piece = 1024;  ///< bytes of a command's output in a packet
}  // namespace

GdbSession::Answer GdbSession::query(std::string_view packet) {
  Words words(packet);
  if (words.skip("qSupported")) return supported(words);
  if (words.skip("qXfer:features:read:")) return transfer(words);
  if (words.skip("qAttached")) return "1";
  if (words.skip("qRcmd,")) return command(words);
  if (words.skip("qThreadExtraInfo,")) return extra_info(words);
  if (words.skip("qqemu.")) return of_qemu(words, false);
  if (words.skip("Qqemu.")) return of_qemu(words, true);
  if (packet == "qC") return "QC" + thread_text(cpu_);
  if (packet == "QStartNoAckMode") {
    acknowledges_ = false;
    return "OK";
  }
  if (packet == "qfThreadInfo") listed_ = 0;
  if (packet == "qfThreadInfo" || packet == "qsThreadInfo")
    return listed_ < target_.cpu_count() ? "m" + thread_text(listed_++) : "l";
  return "";
}

std::string GdbSession::supported(Words words) {
  multiprocess_ = words.rest().find("multiprocess+") != std::string_view::npos;
  return fmt::format("PacketSize={:x};qXfer:features:read+;vContSupported+;QStartNoAckMode+{}", k_max_packet,
                     multiprocess_ ? ";multiprocess+" : "");
}

/// "FILE:OFFSET,LENGTH"
std::string GdbSession::transfer(Words words) {
  const std::string_view file = description(words.until(':'));
  u64 offset = 0, size = 0;
  if (file.empty()) return "E00";
  if (!words.number(offset) || !words.skip(",") || !words.number(size) || offset > file.size()) return k_bad;
  const std::string_view piece = file.substr(offset, std::min<u64>(size, k_max_packet / 2));
  return (offset + piece.size() == file.size() ? "l" : "m") + std::string(piece);
}

std::string GdbSession::extra_info(Words words) {
  const auto cpu = thread(words);
  if (!cpu || *cpu >= target_.cpu_count()) return k_bad;
  return to_hex(fmt::format("CPU#{} [{}]", *cpu, target_.cpu_is_on(*cpu) ? "running" : "halted "));
}

/// A command of the monitor for people.
std::string GdbSession::command(Words words) {
  std::string line;
  if (!from_hex(words.rest(), line)) return k_bad;
  const std::string text = target_.human_command(line);
  for (std::size_t at = 0; at < text.size(); at += k_console_piece)
    send("O" + to_hex(std::string_view(text).substr(at, k_console_piece)));
  return "OK";
}

/// QEMU's own: how steps are made, and what addresses are.
std::string GdbSession::of_qemu(Words words, bool set) {
  u64 value = 0;
  if (words.rest() == "sstepbits" && !set) return "ENABLE=1,NOIRQ=2,NOTIMER=4";
  if (words.rest() == "Supported" && !set) return "sstepbits;sstep;PhyMemMode";
  if (words.skip("sstep")) {
    if (!set) return fmt::format("0x{:x}", step_flags_);
    if (!words.skip("=") || !words.number(value) || value > 7) return k_bad;
    step_flags_ = static_cast<u32>(value);
    return "OK";
  }
  if (words.skip("PhyMemMode")) {
    if (!set) return physical_ ? "1" : "0";
    if (!words.skip(":") || !words.number(value)) return k_bad;
    physical_ = value != 0;
    return "OK";
  }
  return "";
}

}  // namespace armvisor::debugger
