// The console device under a hostile driver, with one port or three; input arrives, and lines stand still, now and
// then.
#include "devices/virtio/console.h"
#include "virtio_guest.h"

using namespace armvisor;

namespace {
struct Line final : devices::Chardev {
  bool full = false, there = true;
  using Chardev::give;
  using Chardev::tell_opened;
  using Chardev::tell_writable;
  bool connected() const override { return there; }
  std::string filename() const override { return "fuzz"; }
  bool do_offer(std::span<const u8>) override { return !full; }
  void do_write(std::span<const u8>) override {}
  std::optional<devices::TerminalSize> size() const override { return devices::TerminalSize{80, 25}; }
};
}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  using devices::virtio::Console;
  fuzz::Input in(data, size);
  const u8 form = in.get<u8>();
  std::array<Line, 3> lines;
  auto device = form & 2 ? std::make_unique<Console>(std::vector<devices::virtio::ConsolePort>{
                               {.line = &lines[0]},
                               {.line = &lines[1], .console = false, .name = "a", .number = 1},
                               {.line = &lines[2], .console = false, .name = "b", .number = 30}})
                         : std::make_unique<Console>(&lines[0]);
  fuzz::VirtioGuest guest(std::move(device), form & 1);
  guest.run(in, [&](fuzz::Input& rest) {
    const u8 n = rest.get<u8>();
    Line& line = lines[n % 3];
    line.full = n & 4;
    line.there = n & 8;
    line.look_at_size();
    line.tell_opened(line.there);
    line.tell_writable();
    line.give(rest.bytes(n & 0x7e));
  });
  return 0;
}
