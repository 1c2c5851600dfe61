// Runs a fuzz target on the files and folders named on the command line: for builds without libFuzzer.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "input.h"

namespace fs = std::filesystem;

namespace {

void replay(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) armvisor::fuzz::fail("cannot read the input", path.c_str());
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  LLVMFuzzerTestOneInput(reinterpret_cast<const armvisor::u8*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  unsigned count = 0;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      replay(argv[i]);
      ++count;
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      replay(entry.path());
      ++count;
    }
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  std::printf("%u inputs replayed\n", count);
  return 0;
}
