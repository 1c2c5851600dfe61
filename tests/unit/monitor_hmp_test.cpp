// Commands of the monitor for people: QEMU's words, byte by byte where scripts look.
#include <gtest/gtest.h>

#include "devices/chardev/mux.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "unit/fake_chardev.h"
#include "unit/fake_machine_control.h"

namespace armvisor::monitor {
namespace {

TEST(Hmp, CommandsSayWhatQemusSay) {
  FakeMachine m;
  const auto run = [&m](const char* line) { return run_human_command(m, line); };
  EXPECT_EQ(run("info status"), "VM status: running\n");
  EXPECT_EQ(run("stop"), "");
  EXPECT_EQ(run(" info  status "), "VM status: paused\n");
  m.now = RunState::Prelaunch;
  EXPECT_EQ(run("info status"), "VM status: paused (prelaunch)\n");
  m.now = RunState::Debug;
  EXPECT_EQ(run("info status"), "VM status: paused (debug)\n");
  EXPECT_EQ(run("info version"), "10.0.2fake\n");
  EXPECT_EQ(run("info name"), "");
  EXPECT_EQ(run("info uuid"), "00000000-0000-0000-0000-000000000000\n");
  EXPECT_EQ(run("info kvm"), "kvm support: not compiled\n");
  EXPECT_EQ(run("info cpus"), "* CPU #0: thread_id=100\n  CPU #1: thread_id=101\n");
  EXPECT_EQ(run("info chardev"), "serial0: filename=stdio\n");
  EXPECT_EQ(run("info network"),
            "virtio-net-device.0: index=0,type=nic,model=virtio-net-device,macaddr=52:54:00:12:34:56\n"
            " \\ net0: index=0,type=user,net=10.0.2.0,restrict=off\n");
  EXPECT_EQ(run("nope"), "unknown command: 'nope'\n");
  EXPECT_EQ(run("info nope"), "unknown command: 'info nope'\n");
  EXPECT_EQ(run("stop x"),
            "stop|s: extraneous characters at the end of line\nTry \"help stop\" for more information\n");
  EXPECT_EQ(run("hostfwd_add"), "hostfwd_add: string expected\nTry \"help hostfwd_add\" for more information\n");
  EXPECT_NE(run("sendkey a").find("there is no keyboard"), std::string::npos);
  EXPECT_NE(run("help stop").find("stop emulation"), std::string::npos);
  EXPECT_EQ(run(""), "");
}

TEST(Hmp, MemoryIsShownInQemusForms) {
  FakeMachine m;
  const auto run = [&m](const char* line) { return run_human_command(m, line); };
  EXPECT_EQ(run("xp /4x 0x40000000"), "0000000040000000: 0x03020100 0x07060504 0x0b0a0908 0x0f0e0d0c\n");
  EXPECT_EQ(run("xp /3gx 0x10"),
            "0000000000000010: 0x1716151413121110 0x1f1e1d1c1b1a1918\n0000000000000020: 0x2726252423222120\n");
  EXPECT_EQ(run("x /9xb 8"), "00000008: 0x08 0x09 0x0a 0x0b 0x0c 0x0d 0x0e 0x0f\n00000010: 0x10\n");
  EXPECT_EQ(run("x /2hx 0x0"), "00000000: 0x0100 0x0302\n");
  EXPECT_EQ(run("xp /2dw 0xfc"), "00000000000000fc: 4294901244   50462976\n");
  EXPECT_EQ(run("xp/2xb 0x10"), "0000000000000010: 0x10 0x11\n");
  EXPECT_EQ(run("xp /1dg 0xf8"), "00000000000000f8:     -283686952306184\n");
  EXPECT_EQ(run("xp /1uw 0xfc"), "00000000000000fc: 4294901244\n");
  EXPECT_EQ(run("xp /3c 0x3f"), "000000000000003f: '?' '@' 'A'\n");
  EXPECT_EQ(run("xp /2c 0x0a"), "000000000000000a: '\\n' '\\x0b'\n");
  EXPECT_EQ(run("xp 0x40000000"), "0000000040000000: 0x03020100\n");
  EXPECT_EQ(run("x /8x 0xfffffff0"),
            "fffffff0: 0xf3f2f1f0 0xf7f6f5f4 0xfbfaf9f8 0xfffefdfc\n00000000: Cannot access memory\n");
  EXPECT_EQ(run("xp 0x1ffffffff"), "00000001ffffffff: Cannot access memory\n");
  const u32 before = m.reads;
  run("x /512xg 0x1000");
  EXPECT_EQ(m.reads, before + 1) << "vCPUs are stopped once";
  EXPECT_EQ(run("xp /s 0"), "invalid char in format: 's'\nTry \"help xp\" for more information\n");
  EXPECT_EQ(run("xp"), "unexpected end of expression\nTry \"help xp\" for more information\n");
  for (const char* wrong : {"x $pc", "x /4x", "x 1 2", "xp /1025x 0", "xp /99999999999999999999x 0", "xp 0x", "xp 12z"})
    EXPECT_NE(run(wrong).find("Try \"help"), std::string::npos) << wrong;
  EXPECT_LT(run("xp /1024og 0").size(), 64u * 1024);
}

TEST(Hmp, RegistersAreThoseOfOneOrAll) {
  FakeMachine m;
  EXPECT_EQ(run_human_command(m, "info registers"), "\nCPU#0\nR00=00000000\n");
  EXPECT_EQ(run_human_command(m, "info registers -a"), "\nCPU#0\nR00=00000000\n\nCPU#1\nR00=00000000\n");
  EXPECT_EQ(run_human_command(m, "info registers 1"), "\nCPU#1\nR00=00000000\n");
  EXPECT_EQ(run_human_command(m, "info registers", 1), "\nCPU#1\nR00=00000000\n");
  EXPECT_EQ(run_human_command(m, "info registers 7"), "CPU#7 not available\n");
  EXPECT_EQ(run_human_command(m, "info registers 1x"), "info registers: expected -a or a CPU, found 1x\n");
}

/// Each key shows the whole line again.
TEST(Hmp, ALongLineIsEchoedInPieces) {
  FakeMachine m;
  std::size_t said = 0;
  HmpSession session(m, [&said](std::string_view text) { said += text.size(); });
  const std::string keys(4000, 'x');
  std::size_t at = 0;
  while (at < keys.size()) {
    const std::size_t before = said;
    const std::size_t n = session.take(std::string_view(keys).substr(at));
    ASSERT_GT(n, 0u);
    EXPECT_LT(said - before, 64u * 1024);
    at += n;
  }
}

TEST(Hmp, ABalloonIsSetInMebibytes) {
  FakeMachine m;
  EXPECT_EQ(run_human_command(m, "info balloon"), "Error: No balloon device has been activated\n");
  m.balloon_bytes = 496 << 20;
  EXPECT_EQ(run_human_command(m, "info balloon"), "balloon: actual=496\n");
  EXPECT_EQ(run_human_command(m, "balloon 100"), "");
  EXPECT_NE(run_human_command(m, "balloon").find("unexpected end of expression"), std::string::npos);
  EXPECT_NE(run_human_command(m, "balloon 100M").find("extraneous characters"), std::string::npos);
  EXPECT_NE(run_human_command(m, "balloon x").find("invalid char 'x'"), std::string::npos);
  EXPECT_NE(run_human_command(m, "balloon 0").find("expects a size"), std::string::npos);
  EXPECT_EQ(m.told, "balloon[104857600] ");
}

TEST(Hmp, PortsAreForwardedByTheNetworksName) {
  FakeMachine m;
  run_human_command(m, "hostfwd_add tcp::5555-:22");
  run_human_command(m, "hostfwd_add net0 tcp::5555-:22");
  EXPECT_EQ(run_human_command(m, "hostfwd_remove net0 tcp::5555"), "host forwarding rule for tcp::5555 removed\n");
  EXPECT_EQ(m.told, "add[]tcp::5555-:22 add[net0]tcp::5555-:22 remove[net0]tcp::5555 ");
}

TEST(Hmp, WhatIsTypedIsShownAsQemuShowsIt) {
  FakeMachine m;
  std::string said;
  HmpSession session(m, [&](std::string_view text) { said += text; });
  const auto type = [&](std::string_view keys) {
    said.clear();
    for (std::size_t at = 0; at < keys.size();) at += session.take(keys.substr(at));
    return said;
  };
  session.opened();
  EXPECT_EQ(said, "QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) ");
  EXPECT_EQ(type("abc\x7f\x7f\n"),
            "a\x1b[K\x1b[Dab\x1b[K\x1b[D\x1b[Dabc\x1b[K\x1b[D\x1b[D\x1b[Dab\x1b[K\x1b[D\x1b[Da\x1b[K\r\n"
            "unknown command: 'a'\r\n(qemu) ");
  EXPECT_EQ(type("\n"), "\r\n(qemu) ");
  EXPECT_EQ(type("\x1b[A"), "a\x1b[K") << "the last line again";
  EXPECT_EQ(type("\x15stop\r").substr(0, 6), "\x1b[D\x1b[K");
  EXPECT_TRUE(type("info version\r\n").ends_with("\r\n10.0.2fake\r\n(qemu) \r\n(qemu) ")) << said;
  EXPECT_EQ(m.told, "stop ");
  EXPECT_TRUE(type("quit\n").ends_with("quit\x1b[K\r\n"));
}

TEST(Hmp, LinesAreBounded) {
  LineEditor editor;
  std::string shown;
  for (int i = 0; i < 100'000; ++i) {
    shown.clear();
    EXPECT_FALSE(editor.key('x', shown));
  }
  EXPECT_TRUE(editor.key('\n', shown));
  EXPECT_EQ(editor.take().size(), LineEditor::k_max_line);
}

TEST(Hmp, OnAMuxItShowsItselfWhenItHasTheFocus) {
  auto* const below = new devices::FakeChardev;
  devices::Mux mux(std::unique_ptr<devices::Chardev>(below), {.when = devices::ConsoleKeys::When::Always}, {});
  FakeMachine m;
  devices::Chardev* const line = mux.add_user();
  devices::Chardev* const serial = mux.add_user();
  Monitor monitor(*line, Monitor::Mode::Readline, m);
  serial->write({reinterpret_cast<const u8*>("guest"), 5});
  const auto type = [&](std::string_view keys) {
    below->output.clear();
    below->type(keys);
    return below->output;
  };
  EXPECT_EQ(below->output, "guest");
  EXPECT_EQ(type("\x01"
                 "c"),
            "QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) ");
  EXPECT_EQ(type("\x01"
                 "c"),
            "\r\n");
  EXPECT_EQ(type("\x01"
                 "c"),
            "(qemu) ");
}

TEST(Hmp, BusesAndObjectsAreShownAsQemuDoes) {
  FakeMachine m;
  const auto run = [&m](const char* line) { return run_human_command(m, line); };
  EXPECT_EQ(run("info pci"),
            "  Bus  0, device   0, function 0:\n    Host bridge: PCI device 1b36:0008\n      id \"\"\n"
            "  Bus  0, device   1, function 0:\n    Ethernet controller: PCI device 1af4:1000\n"
            "      PCI subsystem 1af4:0001\n      IRQ 0, pin A\n      BAR0: I/O at 0x1000 [0x101f].\n"
            "      BAR1: 32 bit memory (not mapped)\n"
            "      BAR4: 64 bit prefetchable memory at 0x10000000 [0x10003fff].\n      id \"n0\"\n");
  EXPECT_EQ(run("info mtree"),
            "address-space: memory\n  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n"
            "    0000000000000000-0000000003ffffff (prio 0, romd): cfi-flash\n"
            "    0000000010000000-0000000010ffffff (prio 0, i/o): pci-memory\n"
            "      0000000010000000-0000000010003fff (prio 1, i/o): card\n"
            "    0000000040000000-0000000047ffffff (prio 0, ram): mach-virt.ram\n\n");
  EXPECT_EQ(run("info qom-tree"),
            "/machine (virt-10.0-machine)\n  /peripheral (container)\n    /n0 (virtio-net-pci)\n  /unattached "
            "(container)\n    /device[0] (cortex-a15-arm-cpu)\n    /n0 (other)\n");
  EXPECT_EQ(run("info qom-tree /nope"), "Path '/nope' could not be resolved.\n");
  EXPECT_EQ(run("info pic"), "");
}

}  // namespace
}  // namespace armvisor::monitor
