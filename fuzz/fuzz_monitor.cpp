// Anything that a client may send to a monitor: QMP, commands for people, keys of a mux, and telnet, in pieces, by
// clients that come and go and do not read.
#include "devices/chardev/mux.h"
#include "devices/chardev/telnet.h"
#include "input.h"
#include "line.h"
#include "monitor/monitor.h"
#include "monitor/qmp.h"

using namespace armvisor;

namespace {

struct Machine final : monitor::MachineControl {
  monitor::RunState now = monitor::RunState::Running;
  std::optional<u64> left = 4096;
  monitor::RunState state() override { return now; }
  void stop() override { now = monitor::RunState::Paused; }
  Status cont() override {
    now = monitor::RunState::Running;
    return {};
  }
  void reset() override {}
  void power_down() override {}
  void quit() override { now = monitor::RunState::Shutdown; }
  monitor::VersionInfo version() override { return {10, 0, 2, "fuzz"}; }
  std::string name() override { return "n"; }
  std::string uuid() override { return "u"; }
  u64 memory() override { return 1; }
  std::optional<u64> balloon() override { return left; }
  void set_balloon(u64 bytes) override { left = bytes; }
  std::vector<monitor::CpuInfo> cpus() override { return {{0, 1}}; }
  std::vector<monitor::BlockInfo> blocks() override { return {{"d", "f", "raw", false, false, 512}}; }
  std::vector<monitor::ChardevInfo> chardevs_in_use() override { return {{"l", "f", true}}; }
  std::vector<monitor::NetworkInfo> networks() override { return {{"c.0", "i", "user", "", "m"}}; }
  Status add_forward(const std::string&, const std::string&) override { return {}; }
  Status remove_forward(const std::string&, const std::string&) override { return {}; }
  std::string registers(u32) override { return "r\n"; }
  Status screendump(const std::string&) override { return Error{ErrorKind::BadArguments, "s"}; }
  std::vector<monitor::PciDeviceInfo> pci() override {
    monitor::PciDeviceInfo device;
    device.regions = {{.index = 1, .size = 4096}};
    return {device};
  }
  std::vector<devices::MappedRegion> memory_map() override { return {{0, 16, "m"}}; }
  std::vector<monitor::ObjectInfo> objects() override {
    return {{"/", "container"}, {"/machine", "m", {{"p", "bool", "true"}}}, {"/machine/x", "y"}};
  }
  std::vector<monitor::ObjectTypeInfo> object_types() override { return {{"object", ""}, {"loop", "loop"}}; }
  std::size_t read_memory(std::optional<u32>, u64 address, std::span<u8> out) override {
    for (u8& byte : out) byte = static_cast<u8>(address >> 8);
    return address >> 40 ? out.size() / 2 : out.size();
  }
};

using fuzz::Line;

/// Every line of a QMP server is a JSON object of one of four kinds.
void check_qmp(std::string_view said) {
  while (!said.empty()) {
    const std::size_t end = said.find("\r\n");
    if (end == said.npos) fuzz::fail("a line of QMP without an end");
    const auto json = monitor::Json::parse(said.substr(0, end), nullptr, false);
    if (!json.is_object() ||
        json.contains("QMP") + json.contains("return") + json.contains("error") + json.contains("event") != 1)
      fuzz::fail("a line of QMP that is none", std::string(said.substr(0, end)).c_str());
    said.remove_prefix(end + 2);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  const u8 form = in.get<u8>();
  const std::size_t piece = 1 + in.get<u8>();
  const bool qmp = form & 1;
  Machine machine;
  auto* const line = new Line;
  devices::Mux mux(std::unique_ptr<devices::Chardev>(line), {.when = devices::ConsoleKeys::When::Always}, {});
  devices::Chardev* const end = mux.add_user();
  monitor::Monitor m(*end, qmp ? monitor::Monitor::Mode::Control : monitor::Monitor::Mode::Readline, machine);
  devices::Telnet telnet;
  std::vector<u8> waiting;
  while (!in.empty()) {
    auto bytes = in.bytes(piece);
    if (form & 2) {
      std::vector<u8> plain;
      telnet.take(bytes, plain);
      waiting.insert(waiting.end(), plain.begin(), plain.end());
    } else {
      waiting.insert(waiting.end(), bytes.begin(), bytes.end());
    }
    if ((form & 4) && bytes.back() == 0x80) line->tell_opened(line->there = !line->there);
    if (form & 8) line->full = bytes.front() & 1;
    m.event({"STOP", "", 0});
    line->tell_writable();
    const std::size_t taken = line->give(waiting);
    if (taken > waiting.size()) fuzz::fail("more taken than was offered");
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  line->full = false;
  line->tell_writable();
  if (qmp && !(form & 4) && line->said.find("C-a h") == std::string::npos) check_qmp(line->said);
  return 0;
}
