#include <gtest/gtest.h>

#include <map>
#include <set>

#include "cli/run_options.h"

namespace armvisor::cli {
namespace {

TEST(RunOptions, FoldersAreShared) {
  const auto o = parse_run_options({"-k", "z", "--share", "/a:tag", "--share", "b,ro"});
  ASSERT_TRUE(o);
  const auto r = run_request(*o);
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->vm.devices.size(), 3u) << "two folders, the entropy source";
  EXPECT_EQ(std::get<machine::ShareSpec>(r->vm.devices[0]).tag, "tag");
  EXPECT_EQ(std::get<machine::ShareSpec>(r->vm.devices[1]).path, "b");
  EXPECT_TRUE(std::get<machine::ShareSpec>(r->vm.devices[1]).read_only);
  for (const auto& shares : {std::vector<std::string>{"--share", ":tag"}, {"--share", "a", "--share", "b:share"}}) {
    std::vector<std::string> line = {"-k", "z"};
    line.insert(line.end(), shares.begin(), shares.end());
    const auto wrong = parse_run_options(line);
    ASSERT_TRUE(wrong);
    EXPECT_FALSE(run_request(*wrong)) << shares.back();
  }
}

TEST(RunOptions, AreReadByLongAndShortName) {
  auto o = parse_run_options({"--kernel", "z", "-i", "initrd", "-a", "a b", "-d", "one", "--disk", "two,ro", "-n",
                              "user", "-m", "1G", "--no-reboot"});
  ASSERT_TRUE(o) << o.error().message;
  EXPECT_EQ(o->kernel, "z");
  EXPECT_EQ(o->initrd, "initrd");
  EXPECT_EQ(o->append, "a b");
  EXPECT_EQ(o->disks, (std::vector<std::string>{"one", "two,ro"}));
  EXPECT_TRUE(o->no_reboot);
  auto r = run_request(*o);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->vm.boot.ram_size, u64{1} << 30);
  ASSERT_EQ(r->vm.devices.size(), 4u) << "two disks, a network, the entropy source";
  EXPECT_FALSE(std::get<machine::DiskSpec>(r->vm.devices[0]).read_only);
  EXPECT_TRUE(std::get<machine::DiskSpec>(r->vm.devices[1]).read_only);
  EXPECT_EQ(std::get<machine::DiskSpec>(r->vm.devices[1]).path, "two");
  EXPECT_FALSE(r->vm.reboot);
}

TEST(RunOptions, MachinesOnASwitchHaveAddressesOfTheirOwn) {
  const auto mac = [](const Arguments& more, std::size_t card = 0) {
    Arguments arguments{"--kernel", "z"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto r = run_request(*parse_run_options(arguments));
    EXPECT_TRUE(r);
    return std::get<machine::NetworkSpec>(r->vm.devices[card]).network.mac;
  };
  const Arguments one = {"--name", "one", "-n", "switch=lab", "-n", "switch=lab"};
  ASSERT_TRUE(mac(one));
  EXPECT_EQ(mac(one), mac(one)) << "the same each time";
  EXPECT_NE(mac(one), mac(one, 1));
  EXPECT_NE(mac(one), mac({"--name", "two", "-n", "switch=lab"}));
  EXPECT_NE(mac({"-n", "switch=lab"}), mac({"-n", "switch=lab"}));
  EXPECT_EQ(mac({"-n", "switch=lab,mac=52:54:00:00:00:09"}), (devices::MacAddress{0x52, 0x54, 0, 0, 0, 9}));
  EXPECT_FALSE(mac({"--name", "one", "-n", "user"})) << "by its number";
}

TEST(RunOptions, FilesOfFlashTakeTheBanksThatFirmwareLeaves) {
  const auto flash_of = [](const Arguments& arguments) { return run_request(*parse_run_options(arguments)); };
  auto r = flash_of({"--flash", "code,ro", "--flash", "vars,cache=writethrough"});
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->vm.boot.flash.size(), 2u);
  EXPECT_EQ(r->vm.boot.flash[0].path, "code");
  EXPECT_TRUE(r->vm.boot.flash[0].read_only);
  EXPECT_EQ(r->vm.boot.flash[1].path, "vars");
  EXPECT_EQ(r->vm.boot.flash[1].cache, devices::DiskCache::Writethrough);
  EXPECT_EQ(r->vm.boot.flash[1].format, "raw");
  r = flash_of({"--firmware", "code", "--flash", "vars,snapshot"});
  ASSERT_TRUE(r) << r.error().message;
  ASSERT_EQ(r->vm.boot.flash.size(), 2u);
  EXPECT_EQ(r->vm.boot.flash[0].path, "");
  EXPECT_TRUE(r->vm.boot.flash[1].snapshot);
  EXPECT_EQ(flash_of({"--kernel", "z"})->vm.boot.flash.size(), 0u);
  for (const char* bad : {"", "a.qcow2", "a,format=auto", "a,format=qcow2", "nbd://host/export", "a,cache=x"})
    EXPECT_FALSE(flash_of({"--flash", bad})) << bad;
  EXPECT_TRUE(flash_of({"--flash", "a.qcow2,format=raw"}));
}

TEST(RunOptions, DefaultsAreThoseOfTheHelp) {
  auto r = run_request(*parse_run_options({}));
  ASSERT_TRUE(r);
  EXPECT_EQ(r->vm.boot.ram_size, u64{512} << 20);
  EXPECT_EQ(r->vm.boot.vcpus, 1u);
  EXPECT_EQ(r->vm.timeout_ms, 0u);
  EXPECT_TRUE(r->vm.reboot);
  EXPECT_FALSE(r->vm.boot.append.has_value());
}

TEST(RunOptions, HelpStatesTheLimitsOfTheBoard) {
  const machine::Board& board = *run_request(*parse_run_options({}))->vm.boot.board;
  const std::string cpus = "1 to " + std::to_string(board.max_vcpus);
  const std::string memory = std::to_string(board.min_ram >> 20) + "M to " + std::to_string(board.ram.size >> 30) + "G";
  std::map<std::string, std::string> help;
#define TEXT(member, names, value, text) help[#member] = text;
#define LIST(member, names, value, text)
#define FORM(member, names, value, text)
#define FLAG(member, names, text)
#include "cli/options.inc"
#undef TEXT
#undef LIST
#undef FORM
#undef FLAG
  EXPECT_NE(help["cpus"].find(cpus), std::string::npos) << help["cpus"];
  EXPECT_NE(help["memory"].find(memory), std::string::npos) << help["memory"];
  EXPECT_FALSE(run_request(*parse_run_options({"--cpus", std::to_string(board.max_vcpus + 1)})));
  EXPECT_TRUE(run_request(*parse_run_options({"--cpus", std::to_string(board.max_vcpus)})));
  EXPECT_EQ(run_request(*parse_run_options({"--cpu", "cortex-a7"}))->vm.boot.cpu, arm::CpuModel::CortexA7);
  EXPECT_FALSE(run_request(*parse_run_options({"--cpu", "cortex-a8"})));
}

TEST(RunOptions, RefuseWhatTheyCannotMean) {
  const Arguments rows[] = {{"--memory", "lots"},
                            {"--memory", "1T"},
                            {"--cpus", "0"},
                            {"--cpus", "2x"},
                            {"--console", "file="},
                            {"--virtio-console", "tty"},
                            {"--engine", "magic"},
                            {"--traps", "some"},
                            {"--timeout", "0"},
                            {"--timeout", "-1"},
                            {"--log", "loud"},
                            {"--unknown"},
                            {"--kernel"},
                            {"stray"},
                            {"--console", "stdio", "--virtio-console", "stdio"},
                            {"--console", "stdio", "--semihosting", "--semihosting-console", "stdio"},
                            {"--virtio-console", "stdio", "--semihosting", "--semihosting-console", "stdio"}};
  for (const Arguments& row : rows) {
    auto o = parse_run_options(row);
    if (!o) {
      EXPECT_EQ(o.error().kind, ErrorKind::BadArguments);
      continue;
    }
    const auto r = run_request(*o);
    ASSERT_FALSE(r) << row.front();
    EXPECT_EQ(r.error().kind, ErrorKind::BadArguments);
    EXPECT_NE(r.error().message.find("found"), std::string::npos);
  }
}

TEST(RunOptions, TheVirtioConsoleTakesStandardInputAndOutputFromTheUart) {
  using Kind = devices::ChardevOptions::Kind;
  const auto vm = [](const Arguments& arguments) { return run_request(*parse_run_options(arguments))->vm; };
  const auto uart = [&vm](const Arguments& arguments) {
    const vmm::VmConfig config = vm(arguments);
    return config.console ? config.chardevs[*config.console].kind : Kind::None;
  };
  EXPECT_EQ(vm({}).chardevs.size(), 1u);
  EXPECT_EQ(uart({}), Kind::Stdio);
  EXPECT_EQ(uart({"--virtio-console", "pty"}), Kind::Stdio);
  EXPECT_EQ(uart({"--virtio-console", "stdio"}), Kind::None);
  EXPECT_EQ(uart({"--virtio-console", "stdio", "--console", "pty"}), Kind::Pty);
  EXPECT_EQ(uart({"--semihosting", "--semihosting-console", "stdio"}), Kind::None);
  EXPECT_EQ(uart({"--semihosting", "--semihosting-console", "pty"}), Kind::Stdio);
}

TEST(RunOptions, ConsolesGoToSockets) {
  const auto socket = [](const char* text) { return devices::ChardevOptions::parse("--console", text); };
  EXPECT_EQ(socket("unix:/tmp/s")->socket.text(), "unix:/tmp/s");
  EXPECT_EQ(socket("tcp:[::1]:44,server,nowait")->socket.text(), "tcp:[::1]:44,server=on");
  EXPECT_FALSE(socket("tcp::44,server,nowait")->socket.wait);
  EXPECT_TRUE(socket("telnet:localhost:44,server")->socket.telnet);
  EXPECT_EQ(socket("tcp:a:1,reconnect=2")->socket.reconnect_ms, 2000u);
  for (const char* wrong : {"tcp:", "tcp:host", "tcp:host:", "unix:", "unix:x,server,reconnect=1", "tcp:a:1,fast",
                            "tcp:a:1,reconnect=x", "udp:a:1"})
    EXPECT_FALSE(socket(wrong)) << wrong;
}

TEST(RunOptions, GdbConnectsWithoutKeepingTheMachineWaiting) {
  const auto request = [](std::vector<std::string> words) {
    words.insert(words.end(), {"-k", "z"});
    return run_request(*parse_run_options(words));
  };
  const auto tcp = request({"--gdb", "tcp:127.0.0.1:1234", "--stopped"});
  ASSERT_TRUE(tcp);
  EXPECT_TRUE(tcp->vm.stopped);
  EXPECT_TRUE(tcp->vm.chardevs[*tcp->vm.gdb].socket.server);
  EXPECT_FALSE(tcp->vm.chardevs[*tcp->vm.gdb].socket.wait);
  EXPECT_FALSE(request({"--stopped"})) << "nobody could let it go";
  EXPECT_FALSE(request({"--gdb", "none"}));
  EXPECT_FALSE(request({"--gdb", "stdio"})) << "the console is there";
  EXPECT_TRUE(request({"--gdb", "stdio", "--console", "none"}));
  EXPECT_FALSE(request({"--gdb", "unix:p", "--verify"}));
}

TEST(RunOptions, ALevelOfTrapsIsChangedByWhatTheEngineIsTold) {
  const auto jit = [](const Arguments& arguments) { return run_request(*parse_run_options(arguments))->vm.jit; };
  EXPECT_FALSE(jit({}).world_switches);
  EXPECT_FALSE(jit({"--traps", "drfa+fit"}).world_switches);
  EXPECT_TRUE(jit({"--traps", "drfa"}).world_switches);
  EXPECT_TRUE(jit({"--traps", "drfa"}).inline_banks);
  EXPECT_FALSE(jit({"--traps", "all"}).inline_banks);
  EXPECT_TRUE(jit({"--jit", "inline-banks", "--traps", "all"}).inline_banks);
}

TEST(RunOptions, SizesHaveUnits) {
  EXPECT_EQ(*parse_size("x", "4096"), 4096u);
  EXPECT_EQ(*parse_size("x", "2K"), 2048u);
  EXPECT_EQ(*parse_size("x", "3m"), u64{3} << 20);
  EXPECT_FALSE(parse_size("x", ""));
  EXPECT_FALSE(parse_size("x", "99999999999G"));
}

TEST(ExitStatus, ValuesAreDistinct) {
  std::set<int> seen;
#define STATUS(name, value, meaning) EXPECT_TRUE(seen.insert(value).second) << meaning;
#include "cli/exit_status.inc"
#undef STATUS
}

TEST(RunOptions, HelpOfTheCompilersChoicesIsShortUnlessAllIsAskedFor) {
  engine::JitOptions options;
  const auto listed = [&](const char* word) { return engine::parse_jit_options(word, options).error().message; };
  EXPECT_NE(listed("help").find("no-windows"), std::string::npos);
  EXPECT_EQ(listed("help").find("fuse-carry"), std::string::npos);
  EXPECT_NE(listed("help-all").find("no-fuse-carry"), std::string::npos);
}

}  // namespace
}  // namespace armvisor::cli
