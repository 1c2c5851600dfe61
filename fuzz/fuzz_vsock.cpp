// The switchboard of virtio sockets between a guest that sends any packet and programs of the host that say anything,
// read or not, and come and go. Real sockets, in a folder of its own.
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <vector>

#include "devices/vsock/switchboard.h"
#include "input.h"

using namespace armvisor;
using namespace armvisor::devices::vsock;

namespace {

/// Ends with the process.
struct Folder {
  Folder() {
    char name[] = "/tmp/armvisor-fuzz-vsock-XXXXXX";
    if (!mkdtemp(name)) abort();
    path = name;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::string path;
};

sockaddr_un address(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  path.copy(a.sun_path, sizeof a.sun_path - 1);
  return a;
}

Fd new_socket() { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

struct World {
  World() {
    const sockaddr_un a = address(folder().path + "/v_5");
    ::unlink(a.sun_path);
    if (::bind(listening.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) abort();
    if (::listen(listening.get(), 64) != 0) abort();
    board->open();
  }
  static Folder& folder() {
    static Folder f;
    return f;
  }
  void connect(fuzz::Input& in) {
    if (programs.size() >= 64) programs.erase(programs.begin());
    Fd socket = new_socket();
    const sockaddr_un a = address(folder().path + "/v");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) return;
    const u8 how = in.get<u8>();
    if (how & 1) say(socket, {reinterpret_cast<const u8*>("CONNECT 9\n"), 10});
    say(socket, in.bytes(how >> 2));
    programs.push_back(std::move(socket));
  }
  void take_program() {
    Fd socket(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) programs.push_back(std::move(socket));
  }
  static void say(const Fd& socket, std::span<const u8> bytes) {
    [[maybe_unused]] const ssize_t n = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void program_acts(fuzz::Input& in) {
    if (programs.empty()) return take_program();
    const u8 how = in.get<u8>();
    const auto at = programs.begin() + in.get<u8>() % static_cast<int>(programs.size());
    std::vector<u8> bytes(u32{in.get<u8>()} * 256);
    if (how & 1) say(*at, bytes);
    if (how & 2) [[maybe_unused]] const ssize_t n = ::recv(at->get(), bytes.data(), bytes.size(), 0);
    if (how & 4) ::shutdown(at->get(), how & 8 ? SHUT_WR : SHUT_RD);
    if ((how & 0x30) == 0x30) programs.erase(at);
  }
  void guest_sends(fuzz::Input& in) {
    if (!board->has_room()) return;
    const u8 how = in.get<u8>();
    Header h;
    h.src_cid = how & 1 ? in.get<u64>() : 3;
    h.dst_cid = how & 2 ? in.get<u64>() : k_host_cid;
    // Mostly of a connection that the guest was told of, or of one to who listens.
    h.src_port = how & 4 ? told.guest : in.get<u8>();
    h.dst_port = how & 4 ? told.host : how & 8 ? 5 : in.get<u32>();
    h.type = how & 16 ? in.get<u16>() : k_type_stream;
    h.op = in.get<u8>() % 10;
    h.flags = in.get<u8>();
    h.buf_alloc = how & 32 ? in.get<u32>() : 1 << 16;
    h.fwd_cnt = how & 64 ? in.get<u32>() : passed_on;
    std::vector<u8> data(h.op == Op::ReadWrite ? u32{in.get<u8>()} * 1024 : 0);
    h.len = static_cast<u32>(data.size());
    const iovec pieces[] = {{data.data(), data.size() / 3}, {data.data() + data.size() / 3, data.size() - data.size() / 3}};
    (void)board->take(h, data.empty() ? std::span<const iovec>() : pieces);
  }
  void guest_receives(u32 most) {
    std::vector<u8> room(4096);
    const iovec pieces[] = {{room.data(), 1000}, {room.data() + 1000, 3096}};
    for (; most > 0 && board->has_packet(); --most) {
      const auto h = board->packet(pieces);
      if (!h) continue;
      if (h->dst_cid != 3 || h->src_cid != k_host_cid || h->len > room.size()) fuzz::fail("a packet is wrong");
      told = {h->src_port, h->dst_port};
      passed_on += h->len;
    }
  }
  void step(fuzz::Input& in) {
    switch (in.get<u8>() % 8) {
      case 0: connect(in); break;
      case 1:
      case 2: program_acts(in); break;
      case 3: guest_receives(in.get<u8>()); break;
      case 4: take_program(); break;
      case 5:
        if (in.get<u8>() == 7) {
          board->close();
          board->open();
        }
        break;
      default: guest_sends(in); break;
    }
    board->look();
    if (board->connections() > Switchboard::k_most_connections) fuzz::fail("there are too many connections");
  }

  Fd listening = new_socket();
  std::unique_ptr<Switchboard> board = *Switchboard::create(*HostSocket::create({.path = folder().path + "/v"}));
  std::vector<Fd> programs;
  Ports told;
  u32 passed_on = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  World world;
  for (unsigned steps = 0; !in.empty() && steps < 1024; ++steps) world.step(in);
  // It comes to rest: a packet is found, or there is none.
  world.guest_receives(1 << 20);
  if (world.board->has_packet()) fuzz::fail("packets have no end");
  return 0;
}
