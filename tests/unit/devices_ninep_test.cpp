// The server of 9P2000.L against a folder of the host.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "devices/ninep/share_options.h"
#include "ninep_client.h"

namespace armvisor::devices::ninep {
namespace {

using testing::Client;
using testing::SharedTree;
namespace fs = std::filesystem;
constexpr u32 k_root = Client::k_root;
constexpr u32 k_removedir = 0x200;

class NinePTest : public ::testing::Test, public Client {
 protected:
  NinePTest() { start(); }
};

// --- options

TEST(ShareOption, HasAFolderATagAndWhetherItMayBeWritten) {
  const auto plain = parse_share_option("/home/me");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->path, "/home/me");
  EXPECT_EQ(plain->tag, "share");
  EXPECT_FALSE(plain->read_only);
  const auto full = parse_share_option("a:b:tag,ro");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->path, "a:b");
  EXPECT_EQ(full->tag, "tag");
  EXPECT_TRUE(full->read_only);
  for (const char* wrong : {"", ":tag", "/a:", ",ro", "/a,rw", "/a:0123456789012345678901234567890123"})
    EXPECT_FALSE(parse_share_option(wrong)) << wrong;
}

TEST(SharedFolderTest, MustBeAFolder) {
  SharedTree tree;
  EXPECT_FALSE(SharedFolder::create({.path = tree.base() / "none"}));
  EXPECT_FALSE(SharedFolder::create({.path = tree.base() / "secret"}));
  EXPECT_TRUE(SharedFolder::create({.path = tree.share()}));
}

// --- the wire

TEST(Wire, ReadingBeyondTheEndGivesZerosAndIsRemembered) {
  const std::vector<u8> bytes = {1, 2, 3, 0, 'x'};
  Reader r(bytes);
  EXPECT_EQ(r.half(), 0x0201);
  EXPECT_EQ(r.string(), "");
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.byte(), 0);
}

TEST(Wire, WritingBeyondTheRoomIsLeftOutAndRemembered) {
  std::vector<u8> bytes;
  Writer w(bytes, 6);
  w.word(1);
  w.string("abc");
  EXPECT_FALSE(w.ok());
  EXPECT_LE(w.size(), 6u);
}

// --- sessions

TEST(NineP, AVersionComesFirst) {
  Client c;
  EXPECT_EQ(c.attach(), EPROTO);
  EXPECT_EQ(c.version(100), EMSGSIZE);
  const auto other = c.call(Message::Tversion, [](Writer& w) {
    w.word(8192);
    w.string("9P2000.u");
  });
  Reader r = other.reader();
  r.word();
  EXPECT_EQ(r.string(), "unknown");
  EXPECT_EQ(c.attach(), EPROTO);
  EXPECT_EQ(c.version(), 0);
  EXPECT_EQ(c.attach(), 0);
}

TEST(NineP, TheSizeOfMessagesIsTheSmallerOfBothWishes) {
  Client c({}, {.message = 8192});
  const auto a = c.call(Message::Tversion, [](Writer& w) {
    w.word(1 << 30);
    w.string("9P2000.L");
  });
  EXPECT_EQ(a.reader().word(), 8192u);
}

TEST_F(NinePTest, ANewVersionEndsAllFids) {
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  EXPECT_EQ(version(), 0);
  EXPECT_EQ(server->fids(), 0u);
  EXPECT_EQ(walk(2, 3, {}), EBADF);
}

TEST_F(NinePTest, WhatIsNoMessageHasNoAnswer) {
  EXPECT_FALSE(raw({}));
  EXPECT_FALSE(raw({1, 0, 0, 0, 100, 0, 0}));                                    // shorter than its header
  EXPECT_FALSE(raw({200, 0, 0, 0, 100, 0, 0}));                                  // longer than what came
  EXPECT_FALSE(raw({7, 0, 0, 0, 120, 0, 0}, 4));                                 // no room for an answer
  EXPECT_TRUE(raw({7, 0, 0, 0, 255, 0, 0}));                                     // an error is one
  EXPECT_EQ(call(static_cast<Message>(102), [](Writer&) {}).error, EOPNOTSUPP);  // Tauth
}

TEST_F(NinePTest, AMessageThatEndsEarlyIsAnError) {
  for (int type = 8; type < 124; type += 2) {
    if (type == 100 || type == 108) continue;
    for (u32 bytes = 0; bytes < 4; ++bytes)
      EXPECT_NE(call(static_cast<Message>(type), [&](Writer& w) { w.put("\1\0\0\0", bytes); }).error, 0)
          << type << " with " << bytes;
  }
}

TEST_F(NinePTest, AFlushFindsNothingToWaitFor) {
  EXPECT_EQ(call(Message::Tflush, [](Writer& w) { w.half(7); }).error, 0);
}

// --- files

TEST_F(NinePTest, AFileIsMadeWrittenReadAndRemoved) {
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  ASSERT_EQ(create(2, "file"), 0);
  EXPECT_EQ(write(2, 0, "hello world"), 0);
  EXPECT_EQ(SharedTree::get(tree.at("file")), "hello world");
  EXPECT_EQ(read(2, 6), "world");
  EXPECT_EQ(read(2, 11), "");
  EXPECT_EQ(read(2, u64{1} << 63), "ERROR " + std::to_string(EINVAL));
  EXPECT_EQ(getattr(2).size, 11u);
  EXPECT_EQ(clunk(2), 0);
  EXPECT_EQ(clunk(2), EBADF);
  EXPECT_EQ(unlinkat(k_root, "file"), 0);
  EXPECT_FALSE(fs::exists(tree.at("file")));
  EXPECT_EQ(server->open_fids(), 0u);
}

TEST_F(NinePTest, OffsetsHaveSixtyFourBits) {
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  ASSERT_EQ(create(2, "big"), 0);
  const u64 far = (u64{5} << 32) + 3;
  EXPECT_EQ(write(2, far, "end"), 0);
  EXPECT_EQ(getattr(2).size, far + 3);
  EXPECT_EQ(read(2, far), "end");
  EXPECT_EQ(setattr(2, {.valid = 8, .size = far + 1}), 0);
  EXPECT_EQ(read(2, far), "e");
}

TEST_F(NinePTest, WhatIsUnlinkedStaysUsableWhileItIsOpen) {
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  ASSERT_EQ(create(2, "file"), 0);
  ASSERT_EQ(write(2, 0, "text"), 0);
  ASSERT_EQ(walk(k_root, 3, {"file"}), 0);
  ASSERT_EQ(unlinkat(k_root, "file"), 0);
  EXPECT_EQ(read(2), "text");
  EXPECT_EQ(write(2, 4, "more"), 0);
  EXPECT_EQ(getattr(2).size, 8u);
  EXPECT_EQ(getattr(2).links, 0u);
  EXPECT_EQ(setattr(2, {.valid = 8, .size = 2}), 0);
  EXPECT_EQ(getattr(3).size, 2u) << "by a fid that was not open";
  EXPECT_EQ(walk(k_root, 4, {"file"}), ENOENT);
}

TEST_F(NinePTest, WhatIsReplacedByARenameStaysUsableToo) {
  SharedTree::put(tree.at("old"), "old");
  SharedTree::put(tree.at("new"), "newer");
  ASSERT_EQ(walk(k_root, 2, {"old"}), 0);
  ASSERT_EQ(walk(k_root, 3, {"new"}), 0);
  ASSERT_EQ(renameat(k_root, "new", k_root, "old"), 0);
  EXPECT_EQ(getattr(2).size, 3u);
  EXPECT_EQ(getattr(3).size, 5u);
  EXPECT_EQ(SharedTree::get(tree.at("old")), "newer");
}

TEST_F(NinePTest, AppendingAddsWhateverTheOffset) {
  SharedTree::put(tree.at("log"), "one ");
  ASSERT_EQ(walk(k_root, 2, {"log"}), 0);
  ASSERT_EQ(open(2, O_WRONLY | O_APPEND), 0);
  EXPECT_EQ(write(2, 0, "two"), 0);
  EXPECT_EQ(SharedTree::get(tree.at("log")), "one two");
}

TEST_F(NinePTest, AFidIsOpenedOnceAndWalkedOnlyBefore) {
  SharedTree::put(tree.at("file"), "x");
  ASSERT_EQ(walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(read(2), "ERROR " + std::to_string(EBADF));
  ASSERT_EQ(open(2, O_RDONLY), 0);
  EXPECT_EQ(open(2, O_RDONLY), EINVAL);
  EXPECT_EQ(write(2, 0, "y"), EBADF);
  EXPECT_EQ(walk(2, 2, {}), EINVAL);
  EXPECT_EQ(walk(k_root, 2, {}), EINVAL) << "a fid that is in use";
  EXPECT_EQ(create(2, "new"), EINVAL);
}

TEST_F(NinePTest, CreatingWhatIsThereOpensItUnlessItMustBeNew) {
  SharedTree::put(tree.at("file"), "text");
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  EXPECT_EQ(create(2, "file", O_RDWR | O_EXCL), EEXIST);
  ASSERT_EQ(create(2, "file", O_RDWR), 0);
  EXPECT_EQ(read(2), "text");
  ASSERT_EQ(walk(k_root, 3, {}), 0);
  ASSERT_EQ(create(3, "file", O_RDWR | O_TRUNC), 0);
  EXPECT_EQ(SharedTree::get(tree.at("file")), "");
}

TEST_F(NinePTest, PermissionsTimesAndSizeAreSet) {
  SharedTree::put(tree.at("file"), "text");
  ASSERT_EQ(walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(setattr(2, {.valid = 1, .mode = 0100640}), 0);
  EXPECT_EQ(getattr(2).mode, 0100640u);
  EXPECT_EQ(setattr(2, {.valid = 0x10 | 0x20 | 0x80 | 0x100, .atime = 1000, .mtime = 2000}), 0);
  struct stat s {};
  ASSERT_EQ(::stat(tree.at("file").c_str(), &s), 0);
  EXPECT_EQ(s.st_atime, 1000);
  EXPECT_EQ(s.st_mtime, 2000);
  EXPECT_EQ(setattr(2, {.valid = 8, .size = 1}), 0);
  EXPECT_EQ(fs::file_size(tree.at("file")), 1u);
  EXPECT_EQ(setattr(k_root, {.valid = 8, .size = 0}), EISDIR);
}

TEST_F(NinePTest, LinksOfBothKinds) {
  SharedTree::put(tree.at("file"), "text");
  ASSERT_EQ(walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(link(k_root, 2, "hard"), 0);
  EXPECT_EQ(getattr(2).links, 2u);
  EXPECT_EQ(symlink(k_root, "soft", "file"), 0);
  ASSERT_EQ(walk(k_root, 3, {"soft"}), 0);
  EXPECT_EQ(readlink(3), "file");
  EXPECT_EQ(getattr(3).qid.type, Qid::Symlink);
  EXPECT_EQ(link(k_root, 3, "soft2"), 0) << "a link to the link itself";
  EXPECT_EQ(fs::read_symlink(tree.at("soft2")), "file");
  EXPECT_EQ(readlink(2), "ERROR " + std::to_string(EINVAL));
}

TEST_F(NinePTest, FoldersAreMadeRenamedAndRemoved) {
  ASSERT_EQ(mkdir(k_root, "a"), 0);
  ASSERT_EQ(mkdir(k_root, "b"), 0);
  ASSERT_EQ(walk(k_root, 2, {"a"}), 0);
  ASSERT_EQ(mkdir(2, "in"), 0);
  ASSERT_EQ(walk(2, 3, {"in"}), 0);
  ASSERT_EQ(walk(k_root, 4, {"b"}), 0);
  EXPECT_EQ(rename(2, 4, "moved"), 0);
  EXPECT_TRUE(fs::is_directory(tree.at("b/moved/in")));
  EXPECT_EQ(mkdir(3, "deeper"), 0) << "by the fid of something within what was moved";
  EXPECT_TRUE(fs::is_directory(tree.at("b/moved/in/deeper")));
  EXPECT_EQ(unlinkat(k_root, "b", k_removedir), ENOTEMPTY);
  EXPECT_EQ(unlinkat(k_root, "b", 0), EISDIR);
  EXPECT_EQ(unlinkat(3, "deeper", k_removedir), 0);
  EXPECT_EQ(remove(3), 0);
  EXPECT_EQ(clunk(3), EBADF) << "removing ends the fid";
  EXPECT_EQ(rename(k_root, 4, "x"), EBUSY);
}

TEST_F(NinePTest, ALargeFolderIsReadInPartsWithOffsetsThatStay) {
  std::set<std::string> expected = {".", ".."};
  for (int i = 0; i < 2000; ++i) {
    const std::string name = "file-" + std::to_string(i);
    SharedTree::put(tree.at(name), "");
    expected.insert(name);
  }
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  ASSERT_EQ(open(2, O_RDONLY), 0);
  std::vector<Entry> all;
  for (;;) {
    std::vector<Entry> some;
    ASSERT_EQ(readdir(2, all.empty() ? 0 : all.back().offset, 1000, some), 0);
    if (some.empty()) break;
    all.insert(all.end(), some.begin(), some.end());
  }
  std::set<std::string> names;
  for (const Entry& e : all) {
    EXPECT_TRUE(names.insert(e.name).second) << e.name << " twice";
    EXPECT_LT(e.offset, 3000u) << "an offset that no program of 32 bits could take";
  }
  EXPECT_EQ(names, expected);
  for (const std::size_t from : {std::size_t{1500}, std::size_t{3}, all.size() - 1}) {
    std::vector<Entry> some;
    ASSERT_EQ(readdir(2, all[from - 1].offset, 400, some), 0);
    ASSERT_FALSE(some.empty());
    EXPECT_EQ(some[0].name, all[from].name);
  }
  std::vector<Entry> none;
  EXPECT_EQ(readdir(2, 1 << 20, 400, none), EINVAL);
}

TEST_F(NinePTest, PlacesBeyondTheBudgetAreForgottenButReadingGoesOn) {
  Client small({}, {.entries = 10});
  for (int i = 0; i < 100; ++i) SharedTree::put(small.tree.at(std::to_string(i)), "");
  small.start();
  ASSERT_EQ(small.walk(k_root, 2, {}), 0);
  ASSERT_EQ(small.open(2, O_RDONLY), 0);
  std::vector<Entry> all;
  for (std::size_t before = 1; before != all.size();) {
    before = all.size();
    ASSERT_EQ(small.readdir(2, all.empty() ? 0 : all.back().offset, 200, all), 0);
  }
  EXPECT_EQ(all.size(), 102u);
  std::vector<Entry> some;
  EXPECT_EQ(small.readdir(2, 50, 200, some), EINVAL);
  EXPECT_EQ(small.readdir(2, 5, 200, some), 0);
  EXPECT_EQ(small.clunk(2), 0);
}

TEST_F(NinePTest, StatfsFsyncAndLocks) {
  ASSERT_EQ(walk(k_root, 2, {}), 0);
  ASSERT_EQ(create(2, "file"), 0);
  const auto statfs = call(Message::Tstatfs, [](Writer& w) { w.word(k_root); });
  EXPECT_EQ(statfs.error, 0);
  EXPECT_EQ(statfs.bytes.size(), 60u);
  EXPECT_EQ(call(Message::Tfsync,
                 [](Writer& w) {
                   w.word(2);
                   w.word(0);
                 })
                .error,
            0);
  const auto lock = call(Message::Tlock, [](Writer& w) {
    w.word(2);
    w.byte(1);
    w.word(1);
    w.dword(0);
    w.dword(0);
    w.word(42);
    w.string("guest");
  });
  ASSERT_EQ(lock.error, 0);
  EXPECT_EQ(lock.bytes[0], 0);
  const auto getlock = call(Message::Tgetlock, [](Writer& w) {
    w.word(2);
    w.byte(1);
    w.dword(0);
    w.dword(0);
    w.word(42);
    w.string("guest");
  });
  ASSERT_EQ(getlock.error, 0);
  EXPECT_EQ(getlock.bytes[0], 2);
}

// --- out of the folder

TEST_F(NinePTest, NoNameLeadsOut) {
  fs::create_directory(tree.at("sub"));
  EXPECT_EQ(walk(k_root, 2, {".."}), 0);
  EXPECT_EQ(getattr(2).qid.path, getattr(k_root).qid.path);
  EXPECT_EQ(walk(k_root, 3, {"sub", "..", "..", "..", "secret"}), EAGAIN);
  const std::string long_name(300, 'x');
  for (const std::string& name :
       {std::string(""), std::string("."), std::string("../secret"), std::string("sub/../../secret"),
        std::string("/etc/passwd"), std::string("a\0b", 3)}) {
    EXPECT_EQ(walk(k_root, 9, {name}), ENOENT) << name;
    EXPECT_NE(mkdir(k_root, name), 0) << name;
    EXPECT_NE(symlink(k_root, name, "x"), 0) << name;
    EXPECT_NE(unlinkat(k_root, name), 0) << name;
    EXPECT_NE(renameat(k_root, name, k_root, "y"), 0) << name;
    EXPECT_NE(renameat(k_root, "sub", k_root, name), 0) << name;
    EXPECT_NE(create(k_root, name), 0) << name;
    EXPECT_NE(mknod(k_root, name, S_IFREG), 0) << name;
  }
  for (const std::string& name : {std::string(".."), long_name}) {
    EXPECT_NE(mkdir(k_root, name), 0) << name;
    EXPECT_NE(unlinkat(k_root, name, k_removedir), 0) << name;
    EXPECT_NE(renameat(k_root, "sub", k_root, name), 0) << name;
    EXPECT_NE(create(k_root, name), 0) << name;
  }
  EXPECT_EQ(walk(k_root, 9, {long_name}), ENAMETOOLONG);
  EXPECT_EQ(SharedTree::get(tree.base() / "secret"), "not for guests");
  EXPECT_TRUE(fs::is_directory(tree.at("sub")));
}

TEST_F(NinePTest, SymbolicLinksAreNotFollowed) {
  fs::create_symlink(tree.base(), tree.at("up"));
  fs::create_symlink(tree.base() / "secret", tree.at("to-secret"));
  fs::create_symlink("/proc/self/fd", tree.at("magic"));
  EXPECT_EQ(walk(k_root, 2, {"up", "secret"}), EAGAIN);
  ASSERT_EQ(walk(k_root, 3, {"to-secret"}), 0);
  EXPECT_EQ(open(3, O_RDONLY), ENXIO);
  EXPECT_EQ(setattr(3, {.valid = 8, .size = 0}), EINVAL);
  ASSERT_EQ(walk(k_root, 4, {}), 0);
  EXPECT_NE(create(4, "to-secret", O_RDWR), 0);
  EXPECT_NE(create(4, "to-secret", O_RDWR | O_TRUNC), 0);
  ASSERT_EQ(walk(k_root, 5, {"up"}), 0);
  EXPECT_NE(mkdir(5, "new"), 0);
  EXPECT_NE(unlinkat(5, "secret"), 0);
  EXPECT_NE(open(5, O_RDONLY), 0);
  ASSERT_EQ(walk(k_root, 6, {"magic"}), 0);
  EXPECT_EQ(walk(6, 7, {"0"}), ENOTDIR);
  EXPECT_EQ(SharedTree::get(tree.base() / "secret"), "not for guests");
}

TEST_F(NinePTest, AFolderThatIsSwappedForALinkLeadsNowhere) {
  fs::create_directory(tree.at("sub"));
  SharedTree::put(tree.at("sub/secret"), "inside");
  ASSERT_EQ(walk(k_root, 2, {"sub"}), 0);
  fs::rename(tree.at("sub"), tree.at("away"));
  fs::create_symlink(tree.base(), tree.at("sub"));
  ASSERT_EQ(walk(2, 3, {"secret"}), 0) << "the fid goes on being that of the folder";
  ASSERT_EQ(open(3, O_RDONLY), 0);
  EXPECT_EQ(read(3), "inside");
  EXPECT_EQ(walk(k_root, 4, {"sub", "secret"}), EAGAIN);
}

TEST(NineP, AFolderThatIsSwappedWhileItsDescriptorIsClosedIsStale) {
  Client c({}, {.open = 64, .named = 2});
  fs::create_directory(c.tree.at("sub"));
  SharedTree::put(c.tree.at("sub/secret"), "inside");
  for (int i = 0; i < 8; ++i) SharedTree::put(c.tree.at(std::to_string(i)), "");
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {"sub"}), 0);
  for (u32 i = 0; i < 8; ++i) ASSERT_EQ(c.walk(k_root, 10 + i, {std::to_string(i)}), 0);
  fs::rename(c.tree.at("sub"), c.tree.at("away"));
  fs::create_symlink(c.tree.base(), c.tree.at("sub"));
  EXPECT_EQ(c.walk(2, 3, {"secret"}), ESTALE);
  fs::remove(c.tree.at("sub"));
  EXPECT_EQ(c.walk(2, 3, {"secret"}), ESTALE);
  fs::rename(c.tree.at("away"), c.tree.at("sub"));
  EXPECT_EQ(c.walk(2, 3, {"secret"}), 0);
}

TEST_F(NinePTest, WhatCouldWaitOrHaveADriverIsNotOpened) {
  ASSERT_EQ(::mkfifo(tree.at("fifo").c_str(), 0666), 0);
  ASSERT_EQ(walk(k_root, 2, {"fifo"}), 0);
  for (const u32 flags : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC}) EXPECT_EQ(open(2, flags), ENXIO);
  ASSERT_EQ(walk(k_root, 3, {}), 0);
  EXPECT_EQ(create(3, "fifo", O_WRONLY), ENXIO);
  EXPECT_EQ(getattr(2).mode & S_IFMT, u32{S_IFIFO});
  EXPECT_EQ(mknod(k_root, "disk", S_IFBLK | 0666, 8, 0), EPERM);
  EXPECT_EQ(mknod(k_root, "tty", S_IFCHR | 0666, 5, 0), EPERM);
  EXPECT_EQ(mknod(k_root, "pipe", S_IFIFO | 0600), 0);
  EXPECT_EQ(mknod(k_root, "strange", 0170000 | 0600), EINVAL);
}

// A node whose descriptor is closed does not hold its file's number, which the host may give to something else.
TEST(NineP, ANumberThatIsADevicesOrAFifosByNowIsStale) {
  Client c({}, {.open = 64, .named = 2});
  SharedTree::put(c.tree.at("file"), "text");
  for (int i = 0; i < 8; ++i) SharedTree::put(c.tree.at(std::to_string(i)), "");
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {"file"}), 0);
  const u64 number = c.getattr(2).qid.path;
  for (u32 i = 0; i < 8; ++i) ASSERT_EQ(c.walk(k_root, 10 + i, {std::to_string(i)}), 0);
  fs::remove(c.tree.at("file"));
  bool again = false;
  for (int i = 0; i < 256 && !again; ++i) {
    const std::string fifo = c.tree.at("fifo" + std::to_string(i));
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    struct stat s {};
    ASSERT_EQ(::stat(fifo.c_str(), &s), 0);
    again = s.st_ino == number;
    if (again) fs::rename(fifo, c.tree.at("file"));
  }
  if (!again) GTEST_SKIP() << "the file system of /tmp does not use a number again soon";
  EXPECT_EQ(c.open(2, O_RDONLY), ESTALE);
  EXPECT_EQ(c.setattr(2, {.valid = 8, .size = 0}), ESTALE);
  ASSERT_EQ(c.walk(k_root, 3, {"file"}), 0);
  EXPECT_EQ(c.open(3, O_RDONLY), ENXIO);
}

TEST_F(NinePTest, WhatCouldNotBeRemovedOrReplacedKeepsItsName) {
  for (const char* name : {"a", "b"}) {
    ASSERT_EQ(mkdir(k_root, name), 0);
    SharedTree::put(tree.at(std::string(name) + "/in"), "");
  }
  ASSERT_EQ(walk(k_root, 2, {"a"}), 0);
  const auto nodes = server->folder().tree().nodes();
  EXPECT_EQ(unlinkat(k_root, "a", k_removedir), ENOTEMPTY);
  EXPECT_EQ(unlinkat(k_root, "a"), EISDIR);
  EXPECT_EQ(renameat(k_root, "b", k_root, "a"), ENOTEMPTY);
  ASSERT_EQ(walk(k_root, 3, {"a"}), 0);
  EXPECT_EQ(server->folder().tree().nodes(), nodes) << "it is the node that was there";
  EXPECT_EQ(renameat(k_root, "a", k_root, "c"), 0);
  EXPECT_EQ(rename(2, k_root, "d"), 0) << "its node goes by the new name";
  EXPECT_TRUE(fs::exists(tree.at("d/in")));
}

TEST_F(NinePTest, NamesOfOneFileAreToldApart) {
  SharedTree::put(tree.at("one"), "text");
  for (const char* name : {"two", "three"}) fs::create_hard_link(tree.at("one"), tree.at(name));
  ASSERT_EQ(walk(k_root, 2, {"one"}) | walk(k_root, 3, {"two"}) | walk(k_root, 4, {"three"}), 0);
  EXPECT_EQ(server->folder().tree().nodes(), 4u);
  EXPECT_EQ(renameat(k_root, "one", k_root, "two"), 0) << "which changes nothing";
  EXPECT_EQ(rename(2, k_root, "first"), 0);
  EXPECT_EQ(remove(3), 0);
  EXPECT_EQ(rename(4, k_root, "third"), 0);
  EXPECT_TRUE(fs::exists(tree.at("first")));
  EXPECT_FALSE(fs::exists(tree.at("two")));
  EXPECT_TRUE(fs::exists(tree.at("third")));
  EXPECT_EQ(clunk(2) | clunk(4), 0);
  EXPECT_EQ(server->folder().tree().nodes(), 1u);
}

TEST_F(NinePTest, ARenameThatWouldPutAFolderIntoItselfLeavesNoLoop) {
  ASSERT_EQ(mkdir(k_root, "a"), 0);
  ASSERT_EQ(walk(k_root, 2, {"a"}), 0);
  ASSERT_EQ(mkdir(2, "b"), 0);
  ASSERT_EQ(walk(2, 3, {"b"}), 0);
  EXPECT_EQ(renameat(k_root, "a", 3, "a"), EINVAL);
  fs::rename(tree.at("a/b"), tree.at("b"));  // what the server does not know of
  EXPECT_EQ(renameat(k_root, "a", 3, "a"), 0);
  EXPECT_TRUE(fs::is_directory(tree.at("b/a")));
  for (const u32 fid : {2u, 3u}) EXPECT_EQ(walk(fid, 9, {"..", "..", "..", ".."}) | clunk(9), 0);
  EXPECT_EQ(clunk(2) | clunk(3), 0);
}

// --- bounds

TEST(NineP, FidsAreBounded) {
  Client c({}, {.fids = 100});
  c.start();
  int error = 0;
  u32 fid = 2;
  while (!error) error = c.walk(k_root, fid++, {});
  EXPECT_EQ(error, EMFILE);
  EXPECT_EQ(c.server->fids(), 100u);
  EXPECT_EQ(c.clunk(2), 0);
  EXPECT_EQ(c.walk(k_root, 2, {}), 0);
}

TEST(NineP, OpenFilesAreBounded) {
  Client c({}, {.open = 10, .xattrs = 3});
  SharedTree::put(c.tree.at("file"), "x");
  c.start();
  for (u32 fid = 10; fid < 22; ++fid) {
    ASSERT_EQ(c.walk(k_root, fid, {"file"}), 0);
    EXPECT_EQ(c.open(fid, O_RDONLY), fid < 20 ? 0 : EMFILE);
  }
  ASSERT_EQ(c.walk(k_root, 30, {}), 0);
  EXPECT_EQ(c.create(30, "new"), EMFILE);
  EXPECT_FALSE(fs::exists(c.tree.at("new")));
  EXPECT_EQ(c.clunk(10), 0);
  EXPECT_EQ(c.create(30, "new"), 0);
}

TEST(NineP, FidsOfAttributesAreBounded) {
  Client c({}, {.open = 10, .xattrs = 3});
  SharedTree::put(c.tree.at("file"), "x");
  c.start();
  for (u32 fid = 10; fid < 15; ++fid) {
    ASSERT_EQ(c.walk(k_root, fid, {"file"}), 0);
    const int error = c.call(Message::Txattrcreate, [&](Writer& w) {
                         w.word(fid);
                         w.string("user.x");
                         w.dword(fid == 10 ? 65537 : 65536);
                         w.word(0);
                       }).error;
    EXPECT_EQ(error, fid == 10 ? E2BIG : fid < 14 ? 0 : EMFILE);
  }
}

TEST(NineP, DescriptorsOfNamesAreBoundedAndFilesStayReachable) {
  Client c({}, {.open = 8, .named = 4});
  c.start();
  ASSERT_EQ(c.mkdir(k_root, "d"), 0);
  ASSERT_EQ(c.walk(k_root, 2, {"d"}), 0);
  for (u32 i = 0; i < 50; ++i) {
    const std::string name = std::to_string(i);
    SharedTree::put(c.tree.at("d/" + name), name);
    ASSERT_EQ(c.walk(2, 100 + i, {name}), 0);
    EXPECT_LE(c.server->folder().tree().open_nodes(), 4u);
  }
  ASSERT_EQ(c.renameat(k_root, "d", k_root, "e"), 0);
  for (u32 i = 0; i < 50; ++i) {
    EXPECT_EQ(c.getattr(100 + i).size, std::to_string(i).size()) << i;
    EXPECT_LE(c.server->folder().tree().open_nodes(), 4u);
  }
  // Of what loses its name while somebody has it, only so many are kept.
  for (u32 i = 0; i < 50; ++i) ASSERT_EQ(c.unlinkat(2, std::to_string(i)), 0);
  EXPECT_LE(c.server->folder().tree().open_nodes(), 8u);
  int kept = 0;
  for (u32 i = 0; i < 50; ++i) kept += c.getattr(100 + i).error == 0;
  EXPECT_GE(kept, 4);
  EXPECT_LE(kept, 8);
  for (u32 i = 0; i < 50; ++i) EXPECT_EQ(c.clunk(100 + i), 0);
  EXPECT_EQ(c.server->folder().tree().nodes(), 2u);
}

TEST(NineP, VeryDeepFoldersAreWalkedAndLetGo) {
  Client c({}, {.fids = 5000, .named = 8});
  c.start();
  u32 fid = k_root;
  for (u32 depth = 0; depth < 600; ++depth) {
    ASSERT_EQ(c.mkdir(fid, "d"), 0);
    ASSERT_EQ(c.walk(fid, fid + 1, {"d"}), 0);
    ++fid;
  }
  for (u32 f = 2; f < fid; ++f) ASSERT_EQ(c.clunk(f), 0);
  EXPECT_EQ(c.getattr(fid).error, 0);
  EXPECT_EQ(c.server->folder().tree().nodes(), 601u);
  EXPECT_EQ(c.clunk(fid), 0);
  EXPECT_EQ(c.server->folder().tree().nodes(), 1u);
}

TEST(NineP, OneFidThatGoesEverDeeperIsBounded) {
  Client c({}, {.fids = 8, .named = 8});
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {}), 0);
  int error = 0;
  for (u32 depth = 0; depth < 20 && !error; ++depth) {
    const std::string name = std::to_string(depth);
    error = c.mkdir(2, name);
    if (!error) error = c.walk(2, 2, {name});
  }
  EXPECT_EQ(error, EMFILE);
  EXPECT_EQ(c.server->folder().tree().nodes(), 16u);
  EXPECT_EQ(c.clunk(2), 0);
  EXPECT_EQ(c.server->folder().tree().nodes(), 1u);
  EXPECT_EQ(c.mkdir(k_root, "more"), 0);
}

// --- other file systems

u64 own_device(Client& c) { return c.server->folder().root()->id().device; }

TEST(NineP, FilesOfOtherFileSystemsHaveNumbersOfTheirOwn) {
  Client c({.others = OtherDevices::Remap});
  SharedFolder& folder = c.server->folder();
  const u64 own = own_device(c), large = u64{7} << 48;
  std::set<u64> paths;
  for (const u64 device : {own, own + 1, own + 2})
    for (const u64 inode : {u64{5}, large + 5, large + 6}) {
      Qid qid, again;
      ASSERT_EQ(folder.qid_of(device, inode, Qid::File, qid), 0);
      ASSERT_EQ(folder.qid_of(device, inode, Qid::File, again), 0);
      EXPECT_EQ(qid.path, again.path);
      paths.insert(qid.path);
    }
  EXPECT_EQ(paths.size(), 9u);
  EXPECT_TRUE(paths.contains(5));
}

TEST(NineP, OnlySoManyFileSystemsAreNumbered) {
  Client c({.others = OtherDevices::Remap});
  const u64 own = own_device(c);
  Qid qid;
  for (u64 n = 1; n <= 4096; ++n) ASSERT_EQ(c.server->folder().qid_of(own + n, 5, Qid::File, qid), 0);
  EXPECT_EQ(c.server->folder().qid_of(own + 4097, 5, Qid::File, qid), ENFILE);
  EXPECT_EQ(c.server->folder().qid_of(own + 4096, 6, Qid::File, qid), 0);
  EXPECT_EQ(c.server->folder().qid_of(own, 6, Qid::File, qid), 0);
}

TEST(NineP, OtherFileSystemsAreForbiddenOrOnlyWarnedOf) {
  Qid qid;
  Client forbid({.others = OtherDevices::Forbid});
  EXPECT_EQ(forbid.server->folder().qid_of(own_device(forbid) + 1, 5, Qid::File, qid), ENODEV);
  EXPECT_EQ(forbid.server->folder().qid_of(own_device(forbid), u64{1} << 60, Qid::File, qid), 0);
  Client warn({.others = OtherDevices::Warn});
  EXPECT_EQ(warn.server->folder().qid_of(own_device(warn) + 1, 5, Qid::File, qid), 0);
  EXPECT_EQ(qid.path, 5u);
}

TEST(NineP, AProcessWithFewDescriptorsSharesFewer) {
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit few { 256, before.rlim_max };
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto limits = ShareLimits::of_process(), one_of_four = ShareLimits::of_process(4),
             one_of_eight = ShareLimits::of_process(8);
  struct rlimit after {};
  getrlimit(RLIMIT_NOFILE, &after);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(after.rlim_cur, std::max<rlim_t>(256, std::min<rlim_t>(before.rlim_max, 65536)));
  EXPECT_LE(limits.open + limits.named, after.rlim_cur / 4);
  EXPECT_EQ(one_of_four.open, limits.open);
  EXPECT_EQ(one_of_eight.open, std::max<std::size_t>(limits.open / 2, 8)) << "eight have what four have";
  EXPECT_EQ(one_of_eight.named, std::max<std::size_t>(limits.named / 2, 8));
}

// --- read-only

TEST(NineP, AReadOnlyShareChangesNothing) {
  Client c({.read_only = true});
  SharedTree::put(c.tree.at("file"), "text");
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(c.open(2, O_RDWR), EROFS);
  EXPECT_EQ(c.open(2, O_RDONLY | O_TRUNC), EROFS);
  EXPECT_EQ(c.setattr(2, {.valid = 1, .mode = 0600}), EROFS);
  EXPECT_EQ(c.link(k_root, 2, "hard"), EROFS);
  EXPECT_EQ(c.mkdir(k_root, "d"), EROFS);
  EXPECT_EQ(c.symlink(k_root, "s", "file"), EROFS);
  EXPECT_EQ(c.mknod(k_root, "n", S_IFREG), EROFS);
  EXPECT_EQ(c.unlinkat(k_root, "file"), EROFS);
  EXPECT_EQ(c.renameat(k_root, "file", k_root, "other"), EROFS);
  EXPECT_EQ(c.set_xattr(2, "user.x", "y"), EROFS);
  ASSERT_EQ(c.walk(k_root, 3, {}), 0);
  EXPECT_EQ(c.create(3, "new"), EROFS);
  ASSERT_EQ(c.open(2, O_RDONLY), 0);
  EXPECT_EQ(c.read(2), "text");
  EXPECT_EQ(c.remove(2), EROFS);
  EXPECT_EQ(c.clunk(2), EBADF);
}

}  // namespace
}  // namespace armvisor::devices::ninep
