// gdb's remote protocol: framing, and what the stub answers, over a machine that is not there.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "debugger/gdb_session.h"
#include "debugger/registers.h"

namespace armvisor::debugger {
namespace {

struct FakeTarget final : DebugTarget {
  bool runs = true;
  bool off = false;                    ///< it cannot go on
  std::function<void()> after_packet;  ///< somebody else does it between a packet's coming and what is done for it
  std::string told;                    ///< "stop go[rs-] "
  std::vector<arm::CpuState> states{arm::reset_state(0, 2), arm::reset_state(1, 2)};
  std::vector<u8> ram = std::vector<u8>(0x1000);
  arm::ExternalStops stops;

  u32 cpu_count() override { return static_cast<u32>(states.size()); }
  bool cpu_is_on(u32 cpu) override { return cpu == 0; }
  bool running() override { return runs; }
  void stop() override {
    if (runs) told += "stop ";
    runs = false;
  }
  void accept_waiting() override {}
  bool go(std::span<const Go> cpus, bool interrupts) override {
    if (off) return false;
    told += interrupts ? "go![" : "go[";
    for (const Go g : cpus) told += g == Go::Run ? 'r' : g == Go::Step ? 's' : '-';
    told += "] ";
    runs = true;
    return true;
  }
  void quit() override { told += "quit "; }
  std::optional<Stop> why;
  std::optional<Stop> take_stop() override { return std::exchange(why, std::nullopt); }
  bool read_state(u32 cpu, arm::CpuState& state) override {
    state = states[cpu];
    return !runs;
  }
  bool write_state(u32 cpu, const arm::CpuState& state) override {
    states[cpu] = state;
    return !runs;
  }
  bool has(u64 address, std::size_t size) const { return address <= ram.size() && size <= ram.size() - address; }
  bool read_memory(u32 cpu, bool physical, u64 address, std::span<u8> out) override {
    told += physical ? "physical " : "";
    told += cpu == 1 ? "of-1 " : "";
    if (!has(address, out.size())) return false;
    std::copy_n(ram.begin() + static_cast<std::ptrdiff_t>(address), out.size(), out.begin());
    return true;
  }
  bool write_memory(u32, bool, u64 address, std::span<const u8> in) override {
    if (!has(address, in.size())) return false;
    std::ranges::copy(in, ram.begin() + static_cast<std::ptrdiff_t>(address));
    return true;
  }
  void set_stops(const arm::ExternalStops& wanted) override {
    if (after_packet) std::exchange(after_packet, nullptr)();
    stop();
    stops = wanted;
  }
  void release() override {
    told += "release ";
    stops = {};
  }
  std::string human_command(const std::string& line) override { return "did " + line + "\r\n"; }
};

class Gdb : public testing::Test {
 protected:
  FakeTarget target;
  std::string said;
  GdbSession session{target, [this](std::string_view text) { said += text; }};

  void SetUp() override { session.opened(); }
  std::string type(std::string_view bytes) {
    said.clear();
    for (std::size_t at = 0; at < bytes.size();) at += session.take(bytes.substr(at));
    return said;
  }
  /// What a packet is answered with, its frames and sums taken off; "|" between packets.
  std::string ask(std::string_view data) {
    std::string text = type(make_packet(data)), out;
    EXPECT_EQ(text.substr(0, 1), "+");
    PacketReader reader;
    for (const char c : text)
      if (reader.take(c) == PacketReader::Event::Packet) out += (out.empty() ? "" : "|") + unescape(reader.packet());
    return out;
  }
  std::string stop(const Stop& why) {
    said.clear();
    target.why = why;
    session.stopped();
    return said.empty() ? said : said.substr(1, said.find('#') - 1);
  }
};

TEST_F(Gdb, ConnectingStopsTheMachineAndSaysSo) {
  EXPECT_EQ(target.told, "stop ");
  EXPECT_EQ(ask("?"), "T05thread:01;");
  EXPECT_EQ(ask("qSupported:multiprocess+;swbreak+"),
            "PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;multiprocess+");
  EXPECT_EQ(ask("?"), "T05thread:p01.01;");
  EXPECT_EQ(ask("qAttached:1"), "1");
  EXPECT_EQ(ask("vCont?"), "vCont;c;C;s;S;t");
  EXPECT_EQ(ask("vMustReplyEmpty"), "");
  EXPECT_EQ(ask("!"), "OK");
}

TEST_F(Gdb, FramesAreCheckedAndAcknowledged) {
  EXPECT_EQ(type("$!#21"), "+$OK#9a");
  EXPECT_EQ(type("-"), "$OK#9a") << "once more";
  EXPECT_EQ(type("$!#22"), "-");
  EXPECT_EQ(type("$!#2g"), "-");
  EXPECT_EQ(type("+++"), "");
  EXPECT_EQ(type("$qC$!#21"), "+$OK#9a") << "the first was cut off";
  EXPECT_EQ(type("$QStartNoAckMode#b0"), "+$OK#9a");
  EXPECT_EQ(type("$!#21"), "$OK#9a");
  EXPECT_EQ(type("$!#22"), "");
  session.closed();
  session.opened();
  EXPECT_EQ(type("$!#21"), "+$OK#9a") << "the next to connect begins anew";
}

TEST_F(Gdb, EachAnswerFindsRoomBeforeTheNext) {
  type("$!#21");
  said.clear();
  EXPECT_EQ(session.take("----"), 1u);
  EXPECT_EQ(said, "$OK#9a");
  EXPECT_EQ(session.take("$!#22$!#22"), 5u);
}

TEST_F(Gdb, APacketThatIsTooLongIsDropped) {
  const std::string most = "X" + std::string(k_max_packet - 1, 'x');
  EXPECT_EQ(ask(most), "E22");
  EXPECT_EQ(type(make_packet(most + "x")), "");
  EXPECT_EQ(type("$!#21"), "+$OK#9a");
}

TEST_F(Gdb, ThreadsAreTheCpus) {
  ask("qSupported:multiprocess+");
  EXPECT_EQ(ask("qfThreadInfo"), "mp01.01");
  EXPECT_EQ(ask("qsThreadInfo"), "mp01.02");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(ask("qC"), "QCp01.01");
  EXPECT_EQ(ask("Hgp1.2"), "OK");
  EXPECT_EQ(ask("qC"), "QCp01.02");
  EXPECT_EQ(ask("Hgp0.0"), "OK");
  EXPECT_EQ(ask("Hc-1"), "OK");
  EXPECT_EQ(ask("Hgp1.3"), "E22");
  EXPECT_EQ(ask("Hx1"), "E22");
  EXPECT_EQ(ask("Tp1.2"), "OK");
  EXPECT_EQ(ask("Tp1.3"), "E22");
  EXPECT_EQ(ask("Tp2.1"), "E22");
  EXPECT_EQ(ask("qThreadExtraInfo,p1.1"), to_hex("CPU#0 [running]"));
  EXPECT_EQ(ask("qThreadExtraInfo,p1.2"), to_hex("CPU#1 [halted ]"));
  EXPECT_EQ(ask("qThreadExtraInfo,p1.9"), "E22");
}

TEST_F(Gdb, TheMachineGoesOnAndWhatStopsItIsTold) {
  EXPECT_EQ(ask("vCont;c"), "");
  EXPECT_EQ(target.told, "stop go[rr] ");
  EXPECT_EQ(stop({.why = Stop::Why::Debug, .cpu = 1}), "T05thread:02;");
  EXPECT_EQ(stop({.why = Stop::Why::Debug}), "") << "gdb does not wait for another";
  target.runs = false;
  target.told.clear();
  EXPECT_EQ(ask("qC"), "QC02") << "the one that stopped is the current one";
  ask("c");
  EXPECT_EQ(stop({.why = Stop::Why::Paused}), "T02thread:02;") << "and stays that when none stopped by itself";
  target.runs = false;
  target.told.clear();
  EXPECT_EQ(ask("vCont;s:2"), "");
  EXPECT_EQ(target.told, "go[-s] ");
  EXPECT_EQ(stop({.why = Stop::Why::Watch, .cpu = 0, .watch = {0x1234, 4, false, true}}), "T05thread:01;watch:1234;");
  target.runs = false;
  ask("vCont;s:1;c");
  EXPECT_EQ(stop({.why = Stop::Why::Watch, .cpu = 0, .watch = {0x1234, 4, true, true}}), "T05thread:01;awatch:1234;");
  target.runs = false;
  EXPECT_EQ(ask("s"), "");
  target.runs = false;
  EXPECT_EQ(ask("C05"), "");
  EXPECT_EQ(target.told, "go[-s] go[sr] go[sr] go[rr] ");
  target.runs = false;
  target.off = true;
  EXPECT_EQ(ask("c"), "T03thread:01;");
  for (const char* bad : {"vCont", "vCont;", "vCont;x", "vCont;c:9", "vCont;c:1x", "vContc", "C", "vCont;t;x"})
    EXPECT_EQ(ask(bad), "E22") << bad;
}

TEST_F(Gdb, WhatComesWhileTheMachineRunsStopsIt) {
  ask("c");
  target.told.clear();
  EXPECT_EQ(type("\x03"), "");
  EXPECT_EQ(target.told, "stop ");
  EXPECT_EQ(stop({.why = Stop::Why::Paused}), "T02thread:01;");
  ask("c");
  EXPECT_EQ(type("+"), "");
  EXPECT_TRUE(target.runs) << "an acknowledgement is nothing";
  EXPECT_EQ(ask("qC"), "QC01");
  EXPECT_FALSE(target.runs);
}

TEST_F(Gdb, RegistersAreReadAndWritten) {
  arm::CpuState& s = target.states[0];
  s.r[0] = 0x12345678;
  s.d[3] = 0x0102030405060708;
  const std::string all = ask("g");
  EXPECT_EQ(all.size(), 17u * 8);
  EXPECT_EQ(all.substr(0, 8), "78563412");
  EXPECT_EQ(all.substr(16 * 8), "d3010040");
  EXPECT_EQ(ask("p0"), "78563412");
  EXPECT_EQ(ask("p1d"), "0807060504030201");
  EXPECT_EQ(ask("p3b"), std::string(16, '0') + "0807060504030201") << "Q1";
  EXPECT_EQ(ask("p4b"), "f0300441") << "FPSID";
  EXPECT_EQ(ask("p10"), "E14") << "none of that number";
  EXPECT_EQ(ask("pffffffffffffffff"), "E14");
  EXPECT_EQ(ask("P1=01000000"), "OK");
  EXPECT_EQ(s.r[1], 1u);
  EXPECT_EQ(ask("P1=0100"), "E14") << "of another size";
  EXPECT_EQ(ask("P1="), "E14");
  EXPECT_EQ(ask("P1"), "E22");
  EXPECT_EQ(ask("Pf=03100040"), "OK");
  EXPECT_EQ(s.r[15], 0x40001000u) << "ARM instructions are aligned";
  EXPECT_EQ(ask("P19=35000060"), "OK") << "an invalid mode is not entered";
  EXPECT_EQ(arm::cpsr(s), 0x60000033u);
  EXPECT_EQ(ask("G" + all), "OK");
  EXPECT_EQ(arm::cpsr(s), 0x400001d3u);
  EXPECT_EQ(s.r[0], 0x12345678u);
  EXPECT_EQ(ask("G00"), "E22");
}

TEST_F(Gdb, SystemRegistersAreShownAndDescribed) {
  const std::string_view text = description("system-registers.xml");
  const auto at = text.find("name=\"SCTLR\"");
  ASSERT_NE(at, std::string_view::npos);
  const auto number_at = text.find("regnum=\"", at) + 8;
  const u64 number = std::stoul(std::string(text.substr(number_at)));
  target.states[0].cp15.sctlr = 0xc50078;
  EXPECT_EQ(ask("p" + fmt::format("{:x}", number)), "7800c500");
  EXPECT_EQ(ask("P" + fmt::format("{:x}", number) + "=00000000"), "E14");
  EXPECT_EQ(description("nothing.xml"), "");
}

TEST_F(Gdb, TheDescriptionIsReadInPieces) {
  std::string text;
  while (true) {
    const std::string piece = ask(fmt::format("qXfer:features:read:target.xml:{:x},40", text.size()));
    text += piece.substr(1);
    if (piece[0] == 'l') break;
    ASSERT_EQ(piece[0], 'm');
  }
  EXPECT_EQ(text, description("target.xml"));
  for (const char* file : {"arm-core.xml", "arm-neon.xml", "arm-vfp-sysregs.xml", "system-registers.xml"})
    EXPECT_NE(text.find(file), std::string::npos);
  EXPECT_EQ(ask("qXfer:features:read:nope.xml:0,40"), "E00");
  EXPECT_EQ(ask("qXfer:features:read:target.xml:ffffff,40"), "E22");
  EXPECT_EQ(ask("qXfer:features:read:target.xml"), "E22");
}

TEST_F(Gdb, MemoryIsReadAndWritten) {
  EXPECT_EQ(ask("M10,4:01020304"), "OK");
  EXPECT_EQ(ask("m10,4"), "01020304");
  EXPECT_EQ(type(std::string("$X20,3:}\x03") + "ab#96"), "+$OK#9a");
  EXPECT_EQ(ask("m20,3"), "236162") << "what '}' escapes is '#'";
  EXPECT_EQ(ask("X0,0:"), "OK");
  EXPECT_EQ(ask("mffe,4"), "E14");
  EXPECT_EQ(ask("Mffe,4:00000000"), "E14");
  EXPECT_EQ(ask("m0,ffffffff"), "E22");
  EXPECT_EQ(ask("m0"), "E22");
  EXPECT_EQ(ask("M0,4:00"), "E22");
  EXPECT_EQ(ask("M0,1:0g"), "E22");
  target.told.clear();
  ask("m0,4");
  EXPECT_EQ(target.told, "");
  EXPECT_EQ(ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(ask("Qqemu.PhyMemMode:1"), "OK");
  EXPECT_EQ(ask("qqemu.PhyMemMode"), "1");
  ask("Hg2");
  ask("m0,4");
  EXPECT_EQ(target.told, "physical of-1 ");
}

TEST_F(Gdb, BreakpointsAndWatchpointsAreTheMachines) {
  EXPECT_EQ(ask("Z0,2000,4"), "OK");
  EXPECT_EQ(ask("Z1,1000,2"), "OK");
  EXPECT_EQ(target.stops.breakpoints, (std::vector<u32>{0x1000, 0x2000}));
  EXPECT_EQ(ask("Z2,3000,4"), "OK");
  EXPECT_EQ(ask("Z3,3000,4"), "OK");
  EXPECT_EQ(ask("Z4,3000,1"), "OK");
  EXPECT_EQ(
      target.stops.watchpoints,
      (std::vector<arm::ExternalWatch>{{0x3000, 4, false, true}, {0x3000, 4, true, false}, {0x3000, 1, true, true}}));
  EXPECT_EQ(ask("z3,3000,4"), "OK");
  EXPECT_EQ(ask("z3,3000,4"), "E22");
  EXPECT_EQ(ask("z0,2000,4"), "OK");
  EXPECT_EQ(ask("z0,2000,4"), "E22");
  EXPECT_EQ(target.stops.breakpoints, std::vector<u32>{0x1000});
  EXPECT_EQ(target.stops.watchpoints.size(), 2u);
  EXPECT_EQ(ask("Z5,0,4"), "");
  for (const char* bad : {"Z0", "Z0,100000000,4", "Z2,0,0", "Z2,0,ffffffff", "Z,,", "Z2,0"})
    EXPECT_EQ(ask(bad), "E22") << bad;
  EXPECT_EQ(ask("?"), "T05thread:01;");
  EXPECT_EQ(target.stops, arm::ExternalStops()) << "who asks that has just connected";
}

TEST_F(Gdb, NobodyCanHaveBreakpointsWithoutEnd) {
  for (std::size_t n = 0; n < GdbSession::k_most_breakpoints; ++n)
    ASSERT_EQ(ask(fmt::format("Z0,{:x},4", 4 * n)), "OK");
  EXPECT_EQ(ask("Z0,fffffff0,4"), "E22");
  for (std::size_t n = 0; n < GdbSession::k_most_watchpoints; ++n)
    ASSERT_EQ(ask(fmt::format("Z2,{:x},4", 4 * n)), "OK");
  EXPECT_EQ(ask("Z2,fffffff0,4"), "E22");
}

TEST_F(Gdb, WhoLeavesTakesBreakpointsAlong) {
  ask("Z0,1000,4");
  target.told.clear();
  EXPECT_EQ(ask("D;1"), "OK");
  EXPECT_EQ(target.stops, arm::ExternalStops());
  EXPECT_EQ(target.told, "go![rr] ");
  target.stop();
  ask("Z0,1000,4");
  ask("c");
  target.told.clear();
  session.closed();
  EXPECT_EQ(target.stops, arm::ExternalStops());
  EXPECT_EQ(target.told, "release ") << "in one step: a monitor may let it go at any time";
  session.opened();
  ask("Z0,2000,4");
  EXPECT_EQ(target.stops.breakpoints, std::vector<u32>{0x2000}) << "those of the next are its own";
}

TEST_F(Gdb, BreakpointsAreSetAlsoWhenAMonitorLetsTheMachineGoMeanwhile) {
  const auto somebody_continues = [&] { target.runs = true; };
  target.after_packet = somebody_continues;
  EXPECT_EQ(ask("Z0,1000,4"), "OK");
  EXPECT_FALSE(target.runs);
  EXPECT_EQ(target.stops.breakpoints, std::vector<u32>{0x1000});
  target.after_packet = somebody_continues;
  EXPECT_EQ(ask("z0,1000,4"), "OK");
  EXPECT_EQ(target.stops, arm::ExternalStops());
  target.after_packet = somebody_continues;
  EXPECT_EQ(ask("Z2,1000,4"), "OK");
  EXPECT_EQ(target.stops.watchpoints.size(), 1u);
}

TEST_F(Gdb, StepsTakeInterruptsIfGdbWantsThem) {
  EXPECT_EQ(ask("qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4");
  EXPECT_EQ(ask("qqemu.sstep"), "0x7");
  EXPECT_EQ(ask("Qqemu.sstep=5"), "OK");
  EXPECT_EQ(ask("Qqemu.sstep=8"), "E22");
  target.told.clear();
  ask("vCont;s:1");
  EXPECT_EQ(target.told, "go![s-] ");
}

TEST_F(Gdb, CommandsAreTheMonitorsForPeople) {
  EXPECT_EQ(ask("qRcmd," + to_hex("info status")), "O" + to_hex("did info status\r\n") + "|OK");
  EXPECT_EQ(ask("qRcmd,0"), "E22");
}

TEST_F(Gdb, TheEndIsTold) {
  target.told.clear();
  EXPECT_EQ(ask("vKill;1"), "OK");
  EXPECT_EQ(ask("k"), "");
  EXPECT_EQ(target.told, "quit quit ");
  said.clear();
  session.ended();
  EXPECT_EQ(said, "$W00#b7");
}

}  // namespace
}  // namespace armvisor::debugger
