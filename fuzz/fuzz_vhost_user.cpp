// What a back end of vhost-user says, and what it writes into rings: replies over a real socket, and a shadow ring
// whose memory it changes as it likes.
#include <sys/socket.h>

#include <map>
#include <span>
#include <vector>

#include "devices/vhost_user/connection.h"
#include "devices/vhost_user/shadow_ring.h"
#include "input.h"

using namespace armvisor;
using namespace armvisor::devices::vhost_user;
using devices::virtio::Chain;

namespace {

/// Replies are parsed, or are errors, before the end of what was said.
void replies(fuzz::Input& in) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  Connection connection{Fd(ends[0]), 1000};
  Fd program(ends[1]);
  connection.begin();
  const u32 rounds = in.get<u8>() % 8 + 1u;
  const std::span<const u8> said = in.bytes(in.get<u16>() % 4096u);
  if (::send(program.get(), said.data(), said.size(), MSG_NOSIGNAL) < 0) abort();
  ::shutdown(program.get(), SHUT_WR);
  for (u32 n = 0; n < rounds; ++n) {
    switch (in.get<u8>() % 4) {
      case 0: (void)connection.ask_number(Request::GetFeatures); break;
      case 1: (void)connection.demand(Request::SetMemTable, Payload().add64(0).bytes()); break;
      case 2:
        if (const auto reply = connection.ask(Request::GetVringBase)) (void)base_of(*reply, 1);
        break;
      default: {
        const auto reply = connection.ask(Request::GetConfig);
        if (!reply) break;
        const auto config = config_of(*reply, 60);
        if (config && config->size() != 60) fuzz::fail("a configuration of another size");
      }
    }
  }
}

struct World {
  std::vector<u8> memory = std::vector<u8>(ShadowRing::k_bytes);
  ShadowRing ring{memory.data(), u64{1} << 44};
  std::map<u64, u64> given;  ///< by a chain's first address: the room that it has
  u64 next_address = 0x4000'0000;

  void give(fuzz::Input& in) {
    Chain chain;
    const u32 count = in.get<u8>() % 64 + 1u, readable = in.get<u8>() % (count + 1);
    const u64 first = next_address;
    for (u32 n = 0; n < count; ++n) {
      const u32 length = in.get<u16>() + 1u;
      (n < readable ? chain.readable : chain.writable).push_back({GuestPa(next_address), length, nullptr});
      (n < readable ? chain.readable_bytes : chain.writable_bytes) += length;
      next_address += length;
    }
    const u64 room = chain.writable_bytes;
    if (!ring.fits(chain)) return;
    ring.put(chain);
    given[first] = room;
  }
  void took(const Chain& chain, u64 written) {
    if (chain.readable.empty() && chain.writable.empty()) fuzz::fail("a chain without buffers was used");
    const u64 first = (chain.readable.empty() ? chain.writable : chain.readable).front().pa.value;
    const auto at = given.find(first);
    if (at == given.end()) fuzz::fail("a chain was used that was not given, or twice");
    if (written > at->second) fuzz::fail("more was written than there is room for");
    given.erase(at);
  }
  void take() {
    Chain chain;
    u32 written = 0;
    while (ring.take(chain, written) == ShadowRing::Take::Got) took(chain, written);
  }
  void take_back() {
    Chain chain;
    while (ring.take_back(chain)) took(chain, 0);
    if (!given.empty() || ring.outstanding()) fuzz::fail("a chain is lost");
  }
  void step(fuzz::Input& in) {
    const u8 what = in.get<u8>();
    if (what < 96) return give(in);
    if (what < 160) return take();
    if (what == 160) {
      take_back();
      return ring.reset();
    }
    if (what < 208) {  // as a back end uses chains: an element, and the index
      const u64 used = ring.used() - ring.descriptors();
      const u16 index = in.get<u16>();
      const u32 element[] = {in.get<u16>(), in.get<u32>() >> (in.get<u8>() % 32)};
      std::memcpy(&memory[used + 4 + 8u * (index % ShadowRing::k_size)], element, sizeof element);
      const u16 shown = static_cast<u16>(index + 1);
      std::memcpy(&memory[used + 2], &shown, sizeof shown);
      return;
    }
    memory[in.get<u16>() % memory.size()] = in.get<u8>();
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  if (in.get<u8>() & 1) {
    replies(in);
    return 0;
  }
  World world;
  for (unsigned steps = 0; !in.empty() && steps < 4096; ++steps) world.step(in);
  (void)world.ring.wants_kick();
  world.take();
  world.take_back();
  return 0;
}
