#include "engine/mailbox.h"

#include <gtest/gtest.h>

namespace armvisor::engine {
namespace {

std::vector<Request> served(Mailbox& m) {
  std::vector<Request> all;
  m.serve([&](const Request& r) { all.push_back(r); }, [] {});
  return all;
}

TEST(Mailbox, ASleeperIsAskedABoundedNumberOfTimes) {
  Mailbox m;
  constexpr u32 k_frames = 3;
  for (u32 i = 0; i < 100000; ++i) {
    m.post({.kind = Request::Kind::DropDerived, .asid = Asid(), .pa = GuestPa(i * 4), .size = 4});
    m.post({.kind = Request::Kind::DropWrites, .asid = Asid(), .pa = GuestPa(0x1000 * (i % k_frames))});
  }
  const auto requests = served(m);
  EXPECT_LE(requests.size(), 2048u);
  const auto count = [&](Request::Kind kind) {
    return std::ranges::count_if(requests, [&](const Request& r) { return r.kind == kind; });
  };
  EXPECT_GE(count(Request::Kind::Forget), 1) << "stands for those that went";
  EXPECT_GE(count(Request::Kind::DropWrites), k_frames) << "none of these is lost";
  EXPECT_TRUE(m.empty());
}

}  // namespace
}  // namespace armvisor::engine
