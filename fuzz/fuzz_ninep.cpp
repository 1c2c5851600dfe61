// The server of 9P over a folder with a few files, and messages of any content: a byte for the type, one for how many
// bytes follow, and these. Size and tag are right, and a session is there, so that messages get further.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "devices/ninep/server.h"
#include "input.h"

using namespace armvisor;
using namespace armvisor::devices::ninep;

namespace {

/// Ends with the process.
struct Folder {
  Folder() {
    char name[] = "/tmp/armvisor-fuzz-9p-XXXXXX";
    if (!mkdtemp(name)) abort();
    path = name;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  /// As each input finds it.
  void fill() {
    std::error_code error;
    std::filesystem::remove_all(path / "share", error);
    std::filesystem::create_directories(path / "share/d");
    std::ofstream(path / "share/f") << "text";
    std::filesystem::create_symlink("../..", path / "share/s", error);
  }
  std::filesystem::path path;
};

void send(Server& server, u8 type, std::vector<u8> body) {
  std::vector<u8> message(k_header_bytes);
  message[4] = type;
  message.insert(message.end(), body.begin(), body.end());
  const u32 size = static_cast<u32>(message.size());
  std::copy_n(reinterpret_cast<const u8*>(&size), sizeof size, message.begin());
  std::vector<u8> answer(4096);
  iovec in[] = {{message.data(), message.size()}},
        out[] = {{answer.data(), 11}, {answer.data() + 11, answer.size() - 11}};
  const auto bytes = server.answer(in, out);
  if (!bytes || *bytes < k_header_bytes || *bytes > answer.size()) abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  static Folder folder;
  folder.fill();
  fuzz::Input in(data, size);
  ShareOptions options{.path = folder.path / "share", .tag = "share"};
  const u8 how = in.get<u8>();
  options.model = static_cast<SecurityModel>(how & 3);
  options.read_only = how & 4;
  Server server(*SharedFolder::create(options, {.fids = 64, .open = 8, .xattrs = 2, .entries = 8, .named = 4}));
  send(server, 100, {0, 32, 0, 0, 8, 0, '9', 'P', '2', '0', '0', '0', '.', 'L'});
  send(server, 104, {1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0});
  while (!in.empty()) {
    const u8 type = in.get<u8>();
    std::vector<u8> body(in.get<u8>());
    for (u8& byte : body) byte = in.get<u8>();
    send(server, type, std::move(body));
  }
  return 0;
}
