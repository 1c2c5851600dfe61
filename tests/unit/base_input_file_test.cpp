// Files that the user names: of whatever kind, no more of them than is of use, and no longer than the reader lives.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/input_file.h"

namespace armvisor {
namespace {

class InputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/armvisor-test-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override {
    for (const char* name : {"/file", "/fifo"}) ::unlink((directory_ + name).c_str());
    ::rmdir(directory_.c_str());
  }
  std::string file(const std::string& content) {
    std::ofstream(directory_ + "/file", std::ios::binary) << content;
    return directory_ + "/file";
  }
  std::string fifo() {
    EXPECT_EQ(::mkfifo((directory_ + "/fifo").c_str(), 0600), 0);
    return directory_ + "/fifo";
  }
  static std::string text(const std::vector<u8>& bytes) { return {bytes.begin(), bytes.end()}; }

  std::string directory_;
};

TEST_F(InputFileTest, AFileIsReadInPartsUpToTheLimit) {
  const std::string content(10'000'000, 'x');
  const std::string path = file(content);
  auto f = InputFile::open(path, "file");
  ASSERT_TRUE(f);
  ASSERT_TRUE(f->read_to(100));
  EXPECT_EQ(f->bytes().size(), 100u);
  ASSERT_TRUE(f->read_all(content.size(), "advice"));
  EXPECT_EQ(text(f->take()), content);
  const auto cut = read_file(path, "file", content.size() - 1, "advice");
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().kind, ErrorKind::BadInput);
  EXPECT_NE(cut.error().message.find("at most 9999999 bytes, found 10000000; advice"), std::string::npos);
}

TEST_F(InputFileTest, WhatIsNoFileOrEmptyIsRefused) {
  for (const std::string& path : {directory_, directory_ + "/none", file("")}) {
    const auto r = read_file(path, "file", 100);
    ASSERT_FALSE(r) << path;
    EXPECT_EQ(r.error().kind, ErrorKind::BadInput);
  }
  EXPECT_FALSE(InputFile::open("/dev/zero", "file")->check_regular());
}

TEST_F(InputFileTest, ADeviceWithoutEndIsReadUpToTheLimit) {
  const auto r = read_file("/dev/zero", "file", 1'000'000);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message.find("at most 1000000 bytes, found more"), std::string::npos) << r.error().message;
}

TEST_F(InputFileTest, AFifoIsWaitedForAndReadToItsEnd) {
  const std::string path = fifo(), content(1'000'000, 'y');
  std::thread writer(
      [&] { std::ofstream(path, std::ios::binary) << content.substr(0, 3) << std::flush << content.substr(3); });
  const auto r = read_file(path, "file", content.size());
  writer.join();
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(text(*r), content);
}

TEST_F(InputFileTest, AStopEndsAWait) {
  const std::string path = fifo();
  for (const bool with_writer : {false, true}) {
    auto stop = StopEvent::create();
    ASSERT_TRUE(stop);
    const Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK));  // so that the writer can open
    const Fd writer(with_writer ? ::open(path.c_str(), O_WRONLY) : -1);
    std::thread stopper([&] { (*stop)->set(); });
    const auto r = read_file(path, "file", 100, "advice", stop->get());
    stopper.join();
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().message.find("the machine's end first"), std::string::npos) << r.error().message;
  }
}

}  // namespace
}  // namespace armvisor
