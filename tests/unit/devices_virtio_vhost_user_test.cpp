// virtio devices whose work a program on the host does: what a driver sees, whatever the program does.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "devices/vhost_user/virtiofsd.h"
#include "devices/virtio/vhost_user.h"
#include "vhost_user_program.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio {
namespace {

using testing::Driver;
using vhost_user::Backend;
using vhost_user::Kind;
using vhost_user::ShadowRing;
using vhost_user::testing::Program;
using vhost_user::testing::Trick;

constexpr u64 k_features = k_feature_version_1 | k_feature_indirect_desc | k_feature_event_idx;
constexpr u32 k_room = 64;
constexpr int k_long_ms = 60000, k_short_ms = 300;
constexpr u16 k_requests = 1;                                // the queue
const std::string k_question = "0123456789abcdef question";  // bytes 8 to 15 are a request's number

vhost_user::Options options_for(const Program& program, int patience_ms = k_long_ms) {
  vhost_user::Options o;
  o.socket = program.path;
  o.tag = "tag";
  o.patience_ms = patience_ms;
  return o;
}

std::shared_ptr<Backend> connect(const Program& program, int patience_ms = k_long_ms) {
  auto backend = Backend::create(options_for(program, patience_ms), nullptr);
  EXPECT_TRUE(backend) << (backend ? "" : backend.error().message);
  return backend ? *backend : nullptr;
}

struct Guest : Driver {
  explicit Guest(std::shared_ptr<Backend> b) : Driver(*VhostUser::create(b)), backend(std::move(b)) {
    EXPECT_TRUE(start());
  }
  bool start() { return bring_up(k_features, 2, 64); }
  struct Request {
    u16 head;
    GuestPa answer;
  };
  Request ask() { return ask(allocate(k_room)); }
  Request ask(GuestPa room, const std::string& question = k_question) {
    const u16 head = add(k_requests, {{put(question), static_cast<u32>(question.size()), false}, {room, k_room, true}});
    kick(k_requests);
    return {head, room};
  }
  void expect_answer(const Request& request, const std::string& question = k_question) {
    const auto used = wait_used(k_requests, std::chrono::seconds(20));
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, request.head);
    const std::string expected = std::string(Program::k_answer) + question;
    EXPECT_EQ(view(request.answer, used->length), expected);
  }
  /// What Linux's FUSE takes for EIO.
  void expect_error(const Request& request) {
    const auto used = wait_used(k_requests, std::chrono::seconds(20));
    ASSERT_TRUE(used);
    EXPECT_EQ(used->id, request.head);
    ASSERT_EQ(used->length, 16u);
    u32 words[2];
    std::memcpy(words, ram.host(request.answer), sizeof words);
    EXPECT_EQ(words[0], 16u);
    EXPECT_EQ(static_cast<s32>(words[1]), -EIO);
    EXPECT_EQ(view(request.answer + 8, 8), k_question.substr(8, 8));
  }
  std::shared_ptr<Backend> backend;
};

TEST(VhostUser, ARequestReachesTheProgramAndItsAnswerTheGuest) {
  Program program;
  Guest guest(connect(program));
  for (int n = 0; n < 3; ++n) guest.expect_answer(guest.ask());
  EXPECT_EQ(program.requests, 3u);
  EXPECT_FALSE(program.ram_was_cut);
  // Of the rings' features none is the program's: the rings are ours.
  EXPECT_EQ(program.acknowledged, k_feature_version_1 | u64{1} << 30);
  EXPECT_FALSE(guest.backend->broken());
}

TEST(VhostUser, AProgramThatDoesNotSayWhatItHasDoneServesAsWell) {
  Program program(Trick::None, {.reply_ack = false});
  Guest guest(connect(program));
  guest.expect_answer(guest.ask());
}

TEST(VhostUser, TheGuestSeesTheTagAndTheQueues) {
  Program program;
  Guest guest(connect(program));
  std::string tag;
  for (u32 n = 0; n < 36; ++n) tag += static_cast<char>(guest.read(0x100 + n, 1));
  EXPECT_EQ(tag, "tag" + std::string(33, '\0'));
  EXPECT_EQ(guest.read(0x100 + 36), 1u);
  EXPECT_EQ(guest.read(8), 26u) << "its type";
}

/// What the engine is told of, and what the guest knew then.
struct Watch final : WriteWatch {
  explicit Watch(Guest& g, u16 q = k_requests) : guest(g), ring(g.rings[q]) { g.ram.set_write_watch(this); }
  ~Watch() { guest.ram.set_write_watch(nullptr); }
  void mark(GuestPa pa) { guest.ram.marks(pa) |= k_frame_code; }
  void watched_written(GuestPa pa, u32 size) override {
    const std::lock_guard lock(mutex);
    if (!(guest.ram.marks(pa) & k_frame_code)) return;
    written.push_back({pa, size});
    used_then.push_back(guest.load16(ring.used + 2));
  }
  bool has(GuestPa pa, u32 size) {
    const std::lock_guard lock(mutex);
    return std::ranges::any_of(written, [&](const auto& w) {
      return w.first.value <= pa.value && pa.value + size <= w.first.value + w.second;
    });
  }
  Guest& guest;
  Driver::Ring ring;
  std::mutex mutex;
  std::vector<std::pair<GuestPa, u32>> written;
  std::vector<u16> used_then;
};

TEST(VhostUser, TheEngineIsToldOfAWriteBeforeTheGuestIs) {
  Program program(Trick::Holds);
  Guest guest(connect(program));
  Watch watch(guest);
  const GuestPa first_room = guest.allocate(k_room), second_room = guest.allocate(k_room);
  watch.mark(first_room);
  watch.mark(second_room);
  const auto held = guest.ask(first_room);
  while (program.requests == 0) std::this_thread::yield();
  program.trick = Trick::None;
  const auto second = guest.ask(second_room);
  guest.expect_answer(second);
  EXPECT_TRUE(watch.has(second.answer, k_room));
  ASSERT_FALSE(watch.used_then.empty());
  EXPECT_EQ(watch.used_then.front(), 0u);
  EXPECT_FALSE(watch.has(held.answer, 1)) << "the program still has it";
}

TEST(VhostUser, AResetTakesBackWhatTheProgramHasAndTheEngineIsTold) {
  Program program(Trick::Holds);
  Guest guest(connect(program));
  Watch watch(guest);
  const auto held = guest.ask();
  watch.mark(held.answer);
  while (program.requests == 0) std::this_thread::yield();
  guest.write(Driver::Status, 0);
  EXPECT_EQ(program.ends, 2u) << "it was asked to leave both rings";
  EXPECT_TRUE(watch.has(held.answer, k_room));
  program.trick = Trick::None;
  ASSERT_TRUE(guest.start());
  guest.expect_answer(guest.ask());
}

TEST(VhostUser, AProgramOutlivesTheMachinesDevice) {
  Program program;
  const auto backend = connect(program);
  for (int n = 0; n < 3; ++n) {
    Guest guest(backend);
    guest.expect_answer(guest.ask());
  }
}

TEST(VhostUser, RequestsOfManyBuffersWaitForRoom) {
  Program program(Trick::Holds);
  Guest guest(connect(program));
  constexpr u32 k_buffers = 400, k_chains = 5;
  std::vector<Guest::Request> requests;
  const std::string question(k_buffers / 2 * 16, 'q');
  for (u32 n = 0; n < k_chains; ++n) {
    const GuestPa from = guest.put(question), to = guest.allocate(k_buffers / 2 * 64);
    std::vector<testing::Buffer> buffers;
    for (u32 b = 0; b < k_buffers; ++b)
      buffers.push_back(b < k_buffers / 2 ? testing::Buffer{from + b * 16, 16, false}
                                          : testing::Buffer{to + (b - k_buffers / 2) * 64, 64, true});
    requests.push_back({guest.add(k_requests, buffers, true), to});
  }
  guest.kick(k_requests);
  while (program.requests < 2) std::this_thread::yield();  // and no more fit
  program.trick = Trick::None;
  // The first two are not answered, so there is no room; a reset gives them back, and all go through afterwards.
  guest.write(Driver::Status, 0);
  EXPECT_EQ(program.requests, 2u);
  ASSERT_TRUE(guest.start());
  for (u32 n = 0; n < k_chains; ++n) {
    const GuestPa from = guest.put(question), to = guest.allocate(k_buffers / 2 * 64);
    std::vector<testing::Buffer> buffers;
    for (u32 b = 0; b < k_buffers; ++b)
      buffers.push_back(b < k_buffers / 2 ? testing::Buffer{from + b * 16, 16, false}
                                          : testing::Buffer{to + (b - k_buffers / 2) * 64, 64, true});
    requests[n] = {guest.add(k_requests, buffers, true), to};
  }
  guest.kick(k_requests);
  for (const auto& request : requests) {
    const auto used = guest.wait_used(k_requests, std::chrono::seconds(20));
    ASSERT_TRUE(used);
    ASSERT_EQ(used->id, request.head);
    EXPECT_EQ(guest.view(request.answer, used->length), std::string(Program::k_answer) + question);
  }
}

// --- programs that break the rules

class BrokenRequest : public ::testing::TestWithParam<Trick> {};

TEST_P(BrokenRequest, IsAnErrorForTheGuestWhichGoesOn) {
  Program program(GetParam());
  Guest guest(connect(program));
  Watch watch(guest);
  guest.expect_error(guest.ask());
  EXPECT_TRUE(guest.backend->broken());
  guest.expect_error(guest.ask());
  EXPECT_FALSE(guest.read(Driver::Status) & Driver::k_needs_reset);
  // A new driver has errors as well, and nobody waits for anybody.
  ASSERT_TRUE(guest.start());
  guest.expect_error(guest.ask());
}
INSTANTIATE_TEST_SUITE_P(All, BrokenRequest,
                         ::testing::Values(Trick::UsesOther, Trick::UsesBeyond, Trick::UsesTwice, Trick::WritesTooMuch,
                                           Trick::RunsAway, Trick::GoesAtRequest, Trick::Talks));

TEST(VhostUser, WhatAProgramHadThatWentIsToldOfAndFails) {
  Program program(Trick::Holds);
  Guest guest(connect(program));
  Watch watch(guest);
  const auto held = guest.ask();
  watch.mark(held.answer);
  while (program.requests == 0) std::this_thread::yield();
  program.end();
  guest.expect_error(held);
  EXPECT_TRUE(watch.has(held.answer, k_room));
  EXPECT_EQ(watch.used_then.front(), 0u);
}

class BrokenConnection : public ::testing::TestWithParam<Trick> {};

TEST_P(BrokenConnection, IsAnErrorWhenTheMachineIsMade) {
  Program program(GetParam());
  const auto backend = Backend::create(options_for(program, k_short_ms), nullptr);
  ASSERT_FALSE(backend);
  EXPECT_NE(backend.error().message.find(program.path), std::string::npos) << backend.error().message;
}
INSTANTIATE_TEST_SUITE_P(All, BrokenConnection,
                         ::testing::Values(Trick::Mute, Trick::OtherRequest, Trick::OtherVersion, Trick::LongReply,
                                           Trick::ShortReply, Trick::HalfReply, Trick::Goes, Trick::NoVersion1));

class BrokenStart : public ::testing::TestWithParam<Trick> {};

TEST_P(BrokenStart, IsAnErrorForTheGuest) {
  Program program;
  const auto backend = connect(program, k_short_ms);
  program.trick = GetParam();
  Guest guest(backend);
  guest.expect_error(guest.ask());
}
INSTANTIATE_TEST_SUITE_P(All, BrokenStart,
                         ::testing::Values(Trick::Mute, Trick::Slow, Trick::OtherRequest, Trick::LongReply,
                                           Trick::HalfReply, Trick::Goes, Trick::RefusesMemory, Trick::MuteAtMemory));

class BrokenEnd : public ::testing::TestWithParam<Trick> {};

TEST_P(BrokenEnd, HoldsUpAResetForSoLongAndNoLonger) {
  Program program;
  Guest guest(connect(program, k_short_ms));
  guest.expect_answer(guest.ask());
  program.trick = GetParam();
  guest.write(Driver::Status, 0);
  EXPECT_TRUE(guest.backend->broken());
  ASSERT_TRUE(guest.start());
  guest.expect_error(guest.ask());
}
INSTANTIATE_TEST_SUITE_P(All, BrokenEnd, ::testing::Values(Trick::MuteAtEnd, Trick::OtherRingAtEnd, Trick::ShortReply));

/// With patience for longer than the test has.
TEST(VhostUser, TheMachinesEndWaitsForNobody) {
  Program program;
  const auto backend = connect(program, 3'600'000);
  {
    Guest guest(backend);
    guest.expect_answer(guest.ask());
    program.trick = Trick::MuteAtEnd;
    backend->machine_ends();
  }
  EXPECT_TRUE(backend->broken());
}

TEST(VhostUser, ConnectingEndsWithTheWishForIt) {
  Program program(Trick::Mute);
  const auto stop = *StopEvent::create();
  std::thread wish([&] { stop->set(); });
  EXPECT_FALSE(Backend::create(options_for(program, 3'600'000), stop.get()));
  wish.join();
}

TEST(VhostUser, NobodyWhoListensIsAnError) {
  vhost_user::Options o;
  o.socket = "/tmp/armvisor-nobody-is-here";
  const auto backend = Backend::create(o, nullptr);
  ASSERT_FALSE(backend);
  EXPECT_NE(backend.error().message.find("start it first"), std::string::npos);
  o.socket = std::string(200, 'x');
  EXPECT_FALSE(Backend::create(o, nullptr));
}

// --- virtiofsd

std::string words_of(const vhost_user::Launch& launch) {
  std::string all;
  for (const std::string& word : launch.words) all += (all.empty() ? "" : " ") + word;
  return all;
}

TEST(VhostUser, VirtiofsdShutsItselfInAsTheUserMay) {
  using vhost_user::Sandbox;
  const vhost_user::Virtiofsd of_qemu{"C", true}, of_rust{"R", false};
  vhost_user::Options o;
  o.folder = "F";
  const auto root = virtiofsd_launches(of_qemu, o, {.root = true, .groups = true});
  ASSERT_TRUE(root);
  ASSERT_EQ(root->size(), 2u);
  EXPECT_EQ(words_of((*root)[0]), "C --fd=3 -o source=F -o sandbox=namespace -o xattr");
  EXPECT_EQ(words_of((*root)[1]), "C --fd=3 -o source=F -o sandbox=chroot -o xattr");
  const auto user = virtiofsd_launches(of_qemu, o, {.root = false, .groups = false});
  EXPECT_EQ(words_of(user->front()).rfind("unshare --user --map-root-user C", 0), 0u);
  // One who has groups to give up needs maps that a program with privileges makes.
  const auto member = virtiofsd_launches(of_qemu, o, {.root = false, .groups = true});
  EXPECT_EQ(words_of(member->front()).rfind("unshare --user --map-root-user --map-auto C", 0), 0u);
  EXPECT_EQ(member->front().privileges, ChildProcess::Privileges::OfItsFile);
  EXPECT_NE(member->front().advice.find("uidmap"), std::string_view::npos);
  const auto rust = virtiofsd_launches(of_rust, o, {.root = false, .groups = true});
  ASSERT_EQ(rust->size(), 1u);
  EXPECT_EQ(words_of(rust->front()), "R --fd=3 --shared-dir=F --sandbox=namespace --xattr");
  EXPECT_EQ(rust->front().privileges, ChildProcess::Privileges::Ours);
  o.sandbox = Sandbox::None;
  EXPECT_EQ(words_of(virtiofsd_launches(of_rust, o, {})->front()), "R --fd=3 --shared-dir=F --sandbox=none --xattr");
  EXPECT_FALSE(virtiofsd_launches(of_qemu, o, {})) << "it has no such mode";
  o.sandbox = {};
  o.read_only = true;
  EXPECT_TRUE(words_of(virtiofsd_launches(of_rust, o, {})->front()).ends_with(" --readonly"));
  EXPECT_FALSE(virtiofsd_launches(of_qemu, o, {})) << "it would let the guest write";
}

// --- disks

TEST(VhostUser, ADiskHasTheProgramsSizeAndFeatures) {
  std::vector<u8> config(60);
  config[0] = 77;  // sectors
  Program program(Trick::None, {.features = 1u << 9 | 1u << 11 | 1u << 12 | 1u << 5, .config = config});
  vhost_user::Options o = options_for(program);
  o.kind = Kind::Disk;
  auto backend = Backend::create(o, nullptr);
  ASSERT_TRUE(backend) << backend.error().message;
  Driver driver(*VhostUser::create(*backend));
  EXPECT_EQ(driver.offered() & 0xffffff, 1u << 9 | 1u << 5) << "and none that asks for more of the front end";
  EXPECT_EQ(driver.read(0x100), 77u);
  ASSERT_TRUE(driver.bring_up(k_features | 1u << 9, 1));
  program.end();
  const GuestPa header = driver.put(std::string(16, '\0')), data = driver.allocate(512), status = driver.allocate(1, 1);
  driver.add(0, {{header, 16, false}, {data, 512, true}, {status, 1, true}});
  driver.kick(0);
  const auto used = driver.wait_used(0, std::chrono::seconds(20));
  ASSERT_TRUE(used);
  EXPECT_EQ(*driver.ram.host(status), 1) << "VIRTIO_BLK_S_IOERR";
}

TEST(VhostUser, AProgramThatIsNoneForDisksIsAnError) {
  Program program;
  vhost_user::Options o = options_for(program);
  o.kind = Kind::Disk;
  EXPECT_FALSE(Backend::create(o, nullptr));
}

}  // namespace
}  // namespace armvisor::devices::virtio
