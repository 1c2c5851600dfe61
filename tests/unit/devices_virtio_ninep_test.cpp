// The virtio device that carries messages of 9P.
#include <gtest/gtest.h>

#include "devices/virtio/ninep.h"
#include "ninep_client.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using ninep::testing::SharedTree;
using testing::Buffer;
using testing::Driver;

constexpr u64 k_features = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx | 1;

std::unique_ptr<Device> make(SharedTree& tree, std::string tag) {
  return *NineP::create(*ninep::SharedFolder::create({.path = tree.share(), .tag = std::move(tag)}, {}));
}

/// A driver that sends messages, in buffers as Linux's.
struct Guest : Driver {
  explicit Guest(SharedTree& tree) : Driver(make(tree, "share")) {}

  template <class Fill>
  std::string message(u8 type, Fill fill) {
    std::vector<u8> bytes;
    ninep::Writer w(bytes, 65536);
    w.word(0);
    w.byte(type);
    w.half(9);
    fill(w);
    w.patch<u32>(0, static_cast<u32>(w.size()));
    return {bytes.begin(), bytes.end()};
  }
  /// The answer behind its header; nothing if there is none, or an error.
  std::optional<std::string> ask(const std::string& request, std::vector<u32> room = {11, 4096}) {
    std::vector<Buffer> all = {{put(request), static_cast<u32>(request.size()), false}};
    std::string answer;
    for (const u32 bytes : room) all.push_back({allocate(bytes, 16), bytes, true});
    add(0, all, true);
    kick(0);
    const auto used = wait_used(0);
    if (!used) return std::nullopt;
    for (std::size_t n = 1; n < all.size(); ++n) answer += view(all[n].pa, all[n].length);
    answer.resize(used->length);
    if (answer.size() < 7 || answer[4] != request[4] + 1) return std::nullopt;
    return answer.substr(7);
  }
  bool begin() {
    return bring_up(k_features, 1) &&
           ask(message(100,
                       [](ninep::Writer& w) {
                         w.word(65536);
                         w.string("9P2000.L");
                       })) &&
           ask(message(104, [](ninep::Writer& w) {
             w.word(1);
             w.word(ninep::k_no_fid);
             w.string("");
             w.string("");
             w.word(0);
           }));
  }
  std::optional<std::string> walk(u32 fid, const std::string& name) {
    return ask(message(110, [&](ninep::Writer& w) {
      w.word(1);
      w.word(fid);
      w.half(1);
      w.string(name);
    }));
  }
};

TEST(VirtioNineP, TellsItsTag) {
  SharedTree tree;
  Driver d(make(tree, "my tag"));
  EXPECT_EQ(d.read(Driver::DeviceID), 9u);
  EXPECT_NE(d.offered() & 1, 0u);
  EXPECT_EQ(d.read(Driver::Config, 2), 6u);
  std::string tag;
  for (u32 n = 0; n < 6; ++n) tag += static_cast<char>(d.read(Driver::Config + 2 + n, 1));
  EXPECT_EQ(tag, "my tag");
  EXPECT_EQ(d.read(Driver::Config + 8, 1), 0u);
}

TEST(VirtioNineP, ReadsIntoTheGuestsBuffersWhateverTheirShape) {
  SharedTree tree;
  std::string content;
  for (int i = 0; i < 10000; ++i) content += std::to_string(i) + " ";
  SharedTree::put(tree.at("file"), content);
  Guest g(tree);
  ASSERT_TRUE(g.begin());
  ASSERT_TRUE(g.walk(2, "file"));
  ASSERT_TRUE(g.ask(g.message(12, [](ninep::Writer& w) {
    w.word(2);
    w.word(0);
  })));
  for (const std::vector<u32>& room :
       {std::vector<u32>{11, 4096, 4096, 4096, 4096}, {5, 1, 7, 3000, 1, 9000}, {20000}}) {
    const auto answer = g.ask(g.message(116,
                                        [](ninep::Writer& w) {
                                          w.word(2);
                                          w.dword(100);
                                          w.word(12000);
                                        }),
                              room);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->substr(4), content.substr(100, 12000));
  }
  EXPECT_GT(g.transport.counters().bytes_to_guest.get(), 30000u);
}

TEST(VirtioNineP, AResetEndsFids) {
  SharedTree tree;
  SharedTree::put(tree.at("file"), "");
  Guest g(tree);
  ASSERT_TRUE(g.begin());
  ASSERT_TRUE(g.walk(2, "file"));
  ASSERT_FALSE(g.walk(2, "file")) << "the fid is in use";
  ASSERT_TRUE(g.begin());
  EXPECT_TRUE(g.walk(2, "file"));
}

TEST(VirtioNineP, WhatIsNoMessageStopsTheQueueUntilAReset) {
  SharedTree tree;
  Guest g(tree);
  ASSERT_TRUE(g.begin());
  g.add(0, {{g.put("no"), 2, false}, {g.allocate(64, 16), 64, true}});
  g.kick(0);
  EXPECT_TRUE(g.wait_status(Driver::k_needs_reset));
  EXPECT_TRUE(g.begin());
  g.add(0, {{g.put(std::string("\7\0\0\0\x64\0\0", 7)), 7, false}, {g.allocate(4, 16), 4, true}});
  g.kick(0);
  EXPECT_TRUE(g.wait_status(Driver::k_needs_reset)) << "no room for an answer";
  EXPECT_TRUE(g.begin());
}

}  // namespace
}  // namespace armvisor::devices::virtio
