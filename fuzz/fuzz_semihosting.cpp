// Semihosting calls, with parameters and RAM of the input's choice, in a folder that is empty at first. Whatever the
// calls are, nothing outside the folder changes.
#include <fcntl.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "input.h"
#include "machine/semihosting/semihosting.h"

using namespace armvisor;
namespace fs = std::filesystem;

namespace {

constexpr u32 k_ram = 0x40000000, k_size = 1 << 20;

struct Host final : machine::SemihostingHost {
  machine::HypercallHost::Time host_time() override { return {}; }
  void program_exit(u32) override {}
  void sleep_in_call(u32) override {}
  void wake_in_call(u32) override {}
};

/// RAM as it lies, without translation.
struct Memory final : engine::CallMemory {
  explicit Memory(GuestRam& r) : ram(r) {}
  bool access(u32 va, u32 size, arm::Access, const Touch& touch) override {
    if (!ram.contains(GuestPa(va), size)) return false;
    touch({ram.host(GuestPa(va)), size});
    return true;
  }
  GuestRam& ram;
};

fs::path make_folder() {
  std::string name = (fs::temp_directory_path() / "fuzz-semihosting-XXXXXX").string();
  if (!::mkdtemp(name.data())) std::abort();
  std::ofstream(fs::path(name) / "secret") << "secret";
  return name;
}

struct World {
  const fs::path outer = make_folder(), folder = outer / "folder";
  Host host;
  devices::NullChardev line;
  const Fd nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  GuestRam ram = *GuestRam::create(GuestPa(k_ram), k_size);
  std::unique_ptr<machine::Semihosting> calls = make();
  std::unique_ptr<machine::Semihosting> make() {
    fs::create_directory(folder);
    return *machine::Semihosting::create(
        {.folder = folder.string(), .command_line = "a b"},
        {.line = &line, .read_stdin = false, .output = nowhere.get(), .error = nowhere.get()}, host);
  }
  ~World() {
    calls.reset();
    fs::remove_all(outer);
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  static World world;
  for (const auto& entry : fs::directory_iterator(world.folder)) fs::remove_all(entry);
  world.calls->restart({}, world.ram);
  fuzz::Input in(data, size);
  Memory memory(world.ram);
  arm::CpuState s = arm::reset_state(0, 1);
  while (!in.empty()) {
    const u8 operation = in.get<u8>();
    // Anything is written anywhere in RAM, or a call is made with a block near its start.
    const u32 at = k_ram + u32{in.get<u16>()};
    if (operation >= 0x80) {
      (void)world.ram.write(GuestPa(at), in.bytes(operation & 0x3f));
      continue;
    }
    s.r[0] = operation;
    s.r[1] = operation == 0x7f ? in.get<u32>() : at;
    (void)world.calls->call(s, 0, memory);
  }
  std::string secret;
  std::ifstream(world.outer / "secret") >> secret;
  if (secret != "secret" || std::distance(fs::directory_iterator(world.outer), fs::directory_iterator()) != 2)
    fuzz::fail("something outside the folder was changed");
  return 0;
}
