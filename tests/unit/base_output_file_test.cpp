// Files that the user names to be written: what they hold is safe until all else is right.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/output_file.h"

namespace armvisor {
namespace {

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() { EXPECT_NE(mkdtemp(directory_), nullptr); }
  ~OutputFileTest() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return std::string(directory_) + "/" + name; }
  void put(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  std::string get(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name)).rdbuf();
    return text.str();
  }
  Result<OutputFile> open(const std::string& name) const { return OutputFile::open("--option", path(name)); }
  static std::span<const u8> bytes(std::string_view text) {
    return {reinterpret_cast<const u8*>(text.data()), text.size()};
  }

 private:
  char directory_[32] = "/tmp/output-file-test-XXXXXX";
};

TEST_F(OutputFileTest, OpeningChangesNothingAndReplacingAll) {
  put("file", "a long text that was there");
  auto file = open("file");
  ASSERT_TRUE(file);
  EXPECT_EQ(get("file"), "a long text that was there");
  ASSERT_TRUE(file->replace(bytes("new")));
  EXPECT_EQ(get("file"), "new");
}

TEST_F(OutputFileTest, ANewFileIsMade) {
  auto file = open("file");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace(bytes("new")));
  EXPECT_EQ(get("file"), "new");
}

TEST_F(OutputFileTest, AFileThatIsLockedIsRefusedUntouched) {
  put("disk", "sectors");
  for (const short type : {F_RDLCK, F_WRLCK}) {
    const Fd disk(::open(path("disk").c_str(), O_RDWR | O_CLOEXEC));
    struct flock request = {};
    request.l_type = type;
    request.l_whence = SEEK_SET;
    ASSERT_EQ(fcntl(disk.get(), F_OFD_SETLK, &request), 0);
    const auto file = open("disk");
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().kind, ErrorKind::HostResource);
    EXPECT_NE(file.error().message.find("in use"), std::string::npos) << file.error().message;
    EXPECT_FALSE(OutputFile::check("--option", path("disk")));
  }
  EXPECT_EQ(get("disk"), "sectors");
  EXPECT_TRUE(open("disk"));
}

TEST_F(OutputFileTest, TwoOptionsMayNotWriteOneFile) {
  const auto first = open("file");
  ASSERT_TRUE(first);
  EXPECT_FALSE(open("file"));
}

TEST_F(OutputFileTest, SymbolicLinksAreRefused) {
  put("file", "kept");
  std::filesystem::create_symlink(path("file"), path("link"));
  std::filesystem::create_symlink(path("none"), path("dangling"));
  for (const char* name : {"link", "dangling"}) {
    const auto file = open(name);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message.find("symbolic link"), std::string::npos) << file.error().message;
  }
  EXPECT_EQ(get("file"), "kept");
  EXPECT_FALSE(std::filesystem::exists(path("none")));
}

TEST_F(OutputFileTest, DirectoriesAndMissingDirectoriesAreRefused) {
  EXPECT_FALSE(OutputFile::open("--option", path("")));
  EXPECT_FALSE(open("none/file"));
}

TEST_F(OutputFileTest, DevicesAndFifosAreTakenWithoutWaiting) {
  EXPECT_TRUE(OutputFile::open("--option", "/dev/null"));
  EXPECT_TRUE(OutputFile::open("--option", "/dev/null")) << "a device is locked by nobody";
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_TRUE(open("fifo"));
  const Fd reader(::open(path("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto file = open("fifo");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace(bytes("hello")));
  char got[8];
  EXPECT_EQ(::read(reader.get(), got, sizeof got), 5);
}

TEST_F(OutputFileTest, OwnDescriptorsGoOnWhereTheyAre) {
  put("file", "before ");
  const Fd fd(::open(path("file").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  auto file = OutputFile::open("--option", "/dev/fd/" + std::to_string(fd.get()));
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace(bytes("after")));
  EXPECT_EQ(get("file"), "before after");
  EXPECT_FALSE(OutputFile::open("--option", "/dev/fd/1000"));
}

TEST_F(OutputFileTest, AFileThatIsReadIsNoOutput) {
  put("kernel", "instructions");
  std::filesystem::create_hard_link(path("kernel"), path("other-name"));
  auto file = open("other-name");
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->differs_from({path("none"), "/dev/null"}));
  const Status same = file->differs_from({"/dev/null", path("kernel")});
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().kind, ErrorKind::BadArguments);
  EXPECT_EQ(get("kernel"), "instructions");
}

TEST_F(OutputFileTest, CheckingMakesNoFile) {
  EXPECT_TRUE(OutputFile::check("--option", path("file")));
  EXPECT_FALSE(std::filesystem::exists(path("file")));
}

}  // namespace
}  // namespace armvisor
