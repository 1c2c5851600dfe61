#pragma once
// A program that serves a virtio device (vhost-user), for tests: it speaks the protocol of a back end on a Unix socket,
// answers requests in rings, and breaks the rules in the way that a test wants.
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "base/wake_event.h"

namespace armvisor::devices::vhost_user::testing {

enum class Trick {
  None,
  // Of what it says:
  Mute,            ///< it answers nothing
  OtherRequest,    ///< replies to something else
  OtherVersion,    ///< of the protocol, in a reply
  LongReply,       ///< says that 4 GiB follow
  ShortReply,      ///< a number of 4 bytes
  HalfReply,       ///< half of a header
  Slow,            ///< a tenth of a second before each reply
  Goes,            ///< instead of a reply
  NoVersion1,      ///< offers the interface before virtio 1
  RefusesMemory,   ///< says that it could not have it
  MuteAtMemory,    ///< does not say whether it could
  MuteAtEnd,       ///< does not say that it has left a ring
  OtherRingAtEnd,  ///< says it of another one
  // Of what it does with a request:
  Holds,       ///< nothing
  UsesOther,   ///< says that it used another chain
  UsesBeyond,  ///< and one that cannot be
  UsesTwice,
  WritesTooMuch,  ///< says that it did
  RunsAway,       ///< says that it used 1000 chains
  GoesAtRequest,
  Talks,  ///< says something that nobody asked for
};

class Program {
 public:
  struct Options {
    bool reply_ack = true;
    u64 features = 0;          ///< of the device's type
    std::vector<u8> config{};  ///< not empty: it has one
  };
  explicit Program(Trick first = Trick::None) : Program(first, Options{}) {}
  Program(Trick first, Options options) : trick(first), options_(std::move(options)) {
    char name[] = "/tmp/armvisor-vhost-user-XXXXXX";
    folder_ = ::mkdtemp(name);
    path = folder_ + "/socket";
    listening_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    path.copy(a.sun_path, sizeof a.sun_path - 1);
    if (::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0 ||
        ::listen(listening_.get(), 1) != 0)
      ::abort();
    thread_ = std::thread([this] { run(); });
  }
  ~Program() {
    end();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }
  /// As if it were killed.
  void end() {
    ending_ = true;
    wake_.wake();
    if (thread_.joinable()) thread_.join();
  }

  std::string path;
  std::atomic<Trick> trick;
  std::atomic<u32> requests{0};          ///< that it found in rings
  std::atomic<u32> ends{0};              ///< rings that it was asked to leave
  std::atomic<bool> ram_was_cut{false};  ///< it could make RAM shorter
  std::atomic<u64> acknowledged{0};      ///< features
  /// What it answers: this, and then what it was asked, as far as there is room.
  static constexpr std::string_view k_answer = "answer to ";

 private:
  struct Region {
    u64 guest, size, user;
    Mapping map;
  };
  struct Vring {
    u64 descriptors = 0, used = 0, available = 0;
    u16 next = 0, used_index = 0;
    u32 size = 0;
    bool enabled = false;
    Fd kick, call;
  };
  struct Header {
    u32 request, flags, size;
  };

  u8* at(u64 address, u64 size, bool user) {
    for (Region& r : regions_) {
      const u64 base = user ? r.user : r.guest;
      if (address >= base && address - base <= r.size && size <= r.size - (address - base))
        return r.map.data() + (address - base);
    }
    // One that breaks the rules reads rings that are another driver's by then.
    if (trick == Trick::None || trick == Trick::Holds)
      ADD_FAILURE() << "it was given an address outside of its memory: " << std::hex << address;
    return nullptr;
  }

  void run() {
    pollfd fds[] = {{listening_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (ending_) return;
    socket_ = Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    while (!ending_ && socket_ && step()) {
    }
    socket_.reset();
    regions_.clear();
    rings_.clear();
  }

  bool step() {
    std::vector<pollfd> fds = {{socket_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
    std::vector<u32> polled;
    for (auto& [n, ring] : rings_)
      if (ring.kick && ring.enabled) {
        fds.push_back({ring.kick.get(), POLLIN, 0});
        polled.push_back(n);
      }
    ::poll(fds.data(), fds.size(), -1);
    if (ending_) return false;
    if (fds[0].revents) return receive();
    for (std::size_t n = 0; n < polled.size(); ++n)
      if (fds[n + 2].revents) {
        u64 count = 0;
        [[maybe_unused]] const ssize_t got = ::read(fds[n + 2].fd, &count, sizeof count);
        if (!serve(polled[n])) return false;
      }
    return true;
  }

  bool receive() {
    Header header{};
    iovec piece = {&header, sizeof header};
    alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
    msghdr m{};
    m.msg_iov = &piece;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    if (::recvmsg(socket_.get(), &m, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof header) return false;
    std::vector<Fd> descriptors;
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
      for (std::size_t n = 0; n < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++n) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(c) + n * sizeof fd, sizeof fd);
        descriptors.emplace_back(fd);
      }
    EXPECT_EQ(header.flags & ~8u, 1u);
    EXPECT_LE(header.size, 512u);
    std::vector<u8> payload(header.size);
    if (header.size > 0 &&
        ::recv(socket_.get(), payload.data(), payload.size(), MSG_WAITALL) != static_cast<ssize_t>(payload.size()))
      return false;
    return take(header, payload, descriptors);
  }

  template <class T>
  static T get(const std::vector<u8>& from, std::size_t offset) {
    T value{};
    if (offset + sizeof value <= from.size()) std::memcpy(&value, from.data() + offset, sizeof value);
    return value;
  }

  bool reply(u32 request, std::vector<u8> payload) {
    Header header{request, 5, static_cast<u32>(payload.size())};
    std::size_t bytes = sizeof header;
    switch (trick) {
      case Trick::Mute: return true;
      case Trick::Goes: return false;
      case Trick::Slow: std::this_thread::sleep_for(std::chrono::milliseconds(100)); break;
      case Trick::OtherRequest: ++header.request; break;
      case Trick::OtherVersion: header.flags = 6; break;
      case Trick::LongReply: header.size = ~0u; break;
      case Trick::ShortReply: header.size = 4; break;
      case Trick::HalfReply: bytes = 6; break;
      default: break;
    }
    say(&header, bytes);
    if (bytes == sizeof header) say(payload.data(), std::min<std::size_t>(payload.size(), header.size));
    return true;
  }
  void say(const void* data, std::size_t bytes) {
    [[maybe_unused]] const ssize_t n = ::send(socket_.get(), data, bytes, MSG_NOSIGNAL);
  }
  bool reply_number(u32 request, u64 number) {
    std::vector<u8> payload(sizeof number);
    std::memcpy(payload.data(), &number, sizeof number);
    return reply(request, payload);
  }

  bool take(const Header& header, const std::vector<u8>& payload, std::vector<Fd>& descriptors) {
    const u32 n = get<u32>(payload, 0);
    u64 failed = 0;
    switch (header.request) {
      case 1:
        return reply_number(1, options_.features | (trick == Trick::NoVersion1 ? 0 : u64{1} << 32) | u64{1} << 30 |
                                   u64{1} << 28 | u64{1} << 29);
      case 2: acknowledged = get<u64>(payload, 0); break;
      case 3: return true;  // before there are protocol features
      case 5:
        if (trick == Trick::MuteAtMemory) return true;
        set_memory(payload, descriptors);
        failed = trick == Trick::RefusesMemory;
        break;
      case 8: rings_[n].size = get<u32>(payload, 4); break;
      case 9:
        rings_[n].descriptors = get<u64>(payload, 8);
        rings_[n].used = get<u64>(payload, 16);
        rings_[n].available = get<u64>(payload, 24);
        break;
      case 10: rings_[n].next = rings_[n].used_index = static_cast<u16>(get<u32>(payload, 4)); break;
      case 11: return leave(n);
      case 12:
      case 13:
        EXPECT_EQ(descriptors.size(), 1u);
        if (!descriptors.empty())
          (header.request == 12 ? rings_[n & 0xff].kick : rings_[n & 0xff].call) = std::move(descriptors[0]);
        break;
      case 15: return reply_number(15, (options_.reply_ack ? 8 : 0) | (options_.config.empty() ? 0 : 1u << 9) | 1);
      case 16: return true;
      case 18:
        rings_[n].enabled = get<u32>(payload, 4) != 0;
        if (rings_[n].enabled && !serve(n)) return false;
        break;
      case 24: return send_config(payload);
      default: ADD_FAILURE() << "an unknown request " << header.request;
    }
    EXPECT_EQ((header.flags & 8) != 0, options_.reply_ack) << header.request;
    return options_.reply_ack ? reply_number(header.request, failed) : true;
  }

  bool send_config(const std::vector<u8>& question) {
    std::vector<u8> answer = question;
    std::memcpy(answer.data() + 12, options_.config.data(), std::min(options_.config.size(), answer.size() - 12));
    return reply(24, answer);
  }

  bool leave(u32 n) {
    ++ends;
    rings_[n].enabled = false;
    rings_[n].kick.reset();
    if (trick == Trick::MuteAtEnd) return true;
    const u32 words[] = {trick == Trick::OtherRingAtEnd ? n + 1 : n, rings_[n].next};
    std::vector<u8> payload(sizeof words);
    std::memcpy(payload.data(), words, sizeof words);
    return reply(11, payload);
  }

  void set_memory(const std::vector<u8>& payload, std::vector<Fd>& descriptors) {
    regions_.clear();
    const u32 count = get<u32>(payload, 0);
    ASSERT_EQ(count, descriptors.size());
    for (u32 n = 0; n < count; ++n) {
      const std::size_t at = 8 + n * 32u;
      const u64 size = get<u64>(payload, at + 8), offset = get<u64>(payload, at + 24);
      void* const p =
          ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors[n].get(), static_cast<off_t>(offset));
      ASSERT_NE(p, MAP_FAILED);
      if (::ftruncate(descriptors[n].get(), 0) == 0) ram_was_cut = true;
      regions_.push_back({get<u64>(payload, at), size, get<u64>(payload, at + 16), Mapping(p, size)});
    }
  }

  struct Descriptor {
    u64 address;
    u32 length;
    u16 flags, next;
  };

  bool serve(u32 n) {
    Vring& ring = rings_[n];
    const u8* const available = at(ring.available, 4 + 2u * ring.size, true);
    if (!available) return false;
    while (ring.next != __atomic_load_n(reinterpret_cast<const u16*>(available + 2), __ATOMIC_ACQUIRE)) {
      u16 head;
      std::memcpy(&head, available + 4 + 2u * (ring.next % ring.size), sizeof head);
      ++ring.next;
      ++requests;
      if (trick == Trick::Holds) continue;
      if (trick == Trick::GoesAtRequest) return false;
      if (trick == Trick::Talks) {
        say("some words that are nothing", 20);
        continue;
      }
      use(ring, head, answer(ring, head));
    }
    return true;
  }

  u32 answer(Vring& ring, u16 head) {
    std::string text(k_answer);
    u32 written = 0;
    for (u16 index = head;;) {
      const u8* const p = at(ring.descriptors + u64{index} * 16, 16, true);
      if (!p) return 0;
      Descriptor d;
      std::memcpy(&d, p, sizeof d);
      u8* const data = at(d.address, d.length, false);
      if (!data) return 0;
      if (d.flags & 2) {
        const std::size_t bytes = std::min<std::size_t>(d.length, text.size() - written);
        std::memcpy(data, text.data() + written, bytes);
        written += static_cast<u32>(bytes);
      } else {
        text.append(reinterpret_cast<const char*>(data), d.length);
      }
      if (!(d.flags & 1)) return written;
      index = d.next;
    }
  }

  void put_used(Vring& ring, u32 id, u32 length) {
    u8* const used = at(ring.used, 4 + 8u * ring.size, true);
    if (!used) return;
    const u32 element[] = {id, length};
    std::memcpy(used + 4 + 8u * (ring.used_index % ring.size), element, sizeof element);
    ++ring.used_index;
    const u16 index = trick == Trick::RunsAway ? static_cast<u16>(ring.used_index + 1000) : ring.used_index;
    __atomic_store_n(reinterpret_cast<u16*>(used + 2), index, __ATOMIC_RELEASE);
  }
  void use(Vring& ring, u32 head, u32 written) {
    if (trick == Trick::UsesOther) head = (head + 500) % ring.size;
    if (trick == Trick::UsesBeyond) head = 0x10000;
    if (trick == Trick::WritesTooMuch) written = 1u << 20;
    put_used(ring, head, written);
    if (trick == Trick::UsesTwice) put_used(ring, head, written);
    const u64 one = 1;
    [[maybe_unused]] const ssize_t n = ::write(ring.call.get(), &one, sizeof one);
  }

  const Options options_;
  std::string folder_;
  Fd listening_, socket_;
  WakeEvent wake_ = *WakeEvent::create("program");
  std::atomic<bool> ending_{false};
  std::vector<Region> regions_;
  std::map<u32, Vring> rings_;
  std::thread thread_;
};

}  // namespace armvisor::devices::vhost_user::testing
