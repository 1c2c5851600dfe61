// Where owner, permissions and kind of shared files are, by security model; the formats are QEMU's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>

#include "ninep_client.h"

namespace armvisor::devices::ninep {
namespace {

using testing::Client;
using testing::SharedTree;
namespace fs = std::filesystem;
constexpr u32 k_root = Client::k_root;
constexpr u32 k_removedir = 0x200;
constexpr u32 k_mode = 1, k_uid = 2, k_gid = 4;

bool has_xattrs() {
  SharedTree tree;
  SharedTree::put(tree.at("x"), "");
  return setxattr(tree.at("x").c_str(), "user.x", "x", 1, 0) == 0;
}

u64 attribute(const fs::path& file, const char* name) {
  u64 value = 0;
  const ssize_t bytes = getxattr(file.c_str(), name, &value, sizeof value);
  return bytes < 0 ? ~u64{0} : value;
}

struct stat host_stat(const fs::path& file) {
  struct stat s {};
  lstat(file.c_str(), &s);
  return s;
}

// --- none

TEST(ModelNone, FilesAreTheHostsOwn) {
  Client c({.model = SecurityModel::None});
  c.start();
  ASSERT_EQ(c.attach(2, 54321), 0);
  ASSERT_EQ(c.create(2, "file", O_RDWR, 0751, 54321), 0) << "that the owner cannot be given is no error";
  EXPECT_EQ(c.getattr(2).mode, 0100751u);
  EXPECT_EQ(c.getattr(2).uid, host_stat(c.tree.at("file")).st_uid);
  ASSERT_EQ(c.mkdir(k_root, "folder", 01777), 0);
  EXPECT_EQ(host_stat(c.tree.at("folder")).st_mode, 041777u);
  if (geteuid() != 0) {
    EXPECT_EQ(c.setattr(2, {.valid = k_uid, .uid = 0}), EPERM) << "but to change it is one";
  }
  EXPECT_EQ(c.set_xattr(2, "user.x", "y"), EINVAL) << "the fid is open";
  ASSERT_EQ(c.walk(k_root, 3, {"file"}), 0);
  EXPECT_EQ(c.set_xattr(3, "user.x", "y"), EOPNOTSUPP);
}

/// While it lives the process is an ordinary user's, also if it is root's.
class OrdinaryUser {
 public:
  OrdinaryUser() {
    if (!was_root_) return;
    EXPECT_EQ(setegid(k_somebody), 0);
    EXPECT_EQ(seteuid(k_somebody), 0);
    prctl(PR_SET_DUMPABLE, 1);  // else its own /proc/self/fd is closed to it
  }
  ~OrdinaryUser() {
    if (was_root_ && (seteuid(0) != 0 || setegid(0) != 0)) std::abort();
  }

 private:
  static constexpr u32 k_somebody = 12345;
  const bool was_root_ = geteuid() == 0;
};

TEST(ModelNone, TheUsersOwnFilesAreRootsIfThatIsWanted) {
  const OrdinaryUser user;
  Client c({.model = SecurityModel::None, .own_is_root = true});
  SharedTree::put(c.tree.at("old"), "");
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {"old"}), 0);
  EXPECT_EQ(c.getattr(2).uid, 0u);
  EXPECT_EQ(c.getattr(2).gid, 0u);
  EXPECT_EQ(c.setattr(2, {.valid = k_uid | k_gid, .uid = 0, .gid = 0}), 0) << "it is already";
  EXPECT_EQ(c.setattr(2, {.valid = k_uid, .uid = 54321}), EPERM);
  ASSERT_EQ(c.walk(k_root, 3, {}), 0);
  ASSERT_EQ(c.create(3, "new"), 0);
  EXPECT_EQ(c.getattr(3).uid, 0u);
  EXPECT_EQ(host_stat(c.tree.at("new")).st_uid, geteuid());
  EXPECT_EQ(host_stat(c.tree.at("new")).st_gid, getegid());
}

// --- passthrough

TEST(ModelPassthrough, AnOwnerThatCannotBeGivenIsAnErrorAndLeavesNothing) {
  if (geteuid() == 0) GTEST_SKIP() << "root can give files to anybody";
  Client c({.model = SecurityModel::Passthrough});
  c.start();
  ASSERT_EQ(c.attach(2, 0), 0);
  EXPECT_EQ(c.create(2, "file"), EPERM);
  EXPECT_EQ(c.mkdir(2, "folder"), EPERM);
  EXPECT_EQ(c.symlink(2, "link", "x"), EPERM);
  EXPECT_TRUE(fs::is_empty(c.tree.share()));
}

TEST(ModelPassthrough, AttributesAreTheGuestsToSet) {
  if (!has_xattrs()) GTEST_SKIP() << "no extended attributes in /tmp";
  Client c({.model = SecurityModel::Passthrough});
  SharedTree::put(c.tree.at("file"), "");
  c.start();
  ASSERT_EQ(c.walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(c.get_xattr(2, "user.x"), "ERROR " + std::to_string(ENODATA));
  ASSERT_EQ(c.set_xattr(2, "user.x", "value"), 0);
  ASSERT_EQ(c.walk(k_root, 2, {"file"}), 0);
  EXPECT_EQ(c.get_xattr(2, "user.x"), "value");
  EXPECT_EQ(c.get_xattr(2, ""), std::string("user.x\0", 7));
  EXPECT_EQ(c.get_xattr(2, "trusted.x"), "ERROR " + std::to_string(EOPNOTSUPP));
  EXPECT_EQ(c.get_xattr(2, "security.capability"), "ERROR " + std::to_string(EOPNOTSUPP));
  ASSERT_EQ(c.walk(k_root, 3, {"file"}), 0);
  EXPECT_EQ(c.set_xattr(3, "user.x", "other", XATTR_CREATE), EEXIST);
  ASSERT_EQ(c.walk(k_root, 3, {"file"}), 0);
  EXPECT_EQ(c.set_xattr(3, "user.x", ""), 0) << "no value removes it";
  EXPECT_EQ(c.get_xattr(2, "user.x"), "ERROR " + std::to_string(ENODATA));
  for (const u32 flags : {0u, u32{XATTR_REPLACE}}) {  // the latter is how Linux says removexattr
    ASSERT_EQ(setxattr(c.tree.at("file").c_str(), "user.x", "x", 1, 0), 0);
    const u32 fid = 4 + flags;
    ASSERT_EQ(c.walk(k_root, fid, {"file"}), 0);
    EXPECT_EQ(c.set_xattr(fid, "user.x", "", flags), 0);
    EXPECT_EQ(getxattr(c.tree.at("file").c_str(), "user.x", nullptr, 0), -1) << "with the flags " << flags;
  }
}

// --- mapped-xattr

class MappedXattr : public ::testing::Test, public Client {
 protected:
  MappedXattr() : Client({.model = SecurityModel::MappedXattr}) {}
  void SetUp() override {
    if (!has_xattrs()) GTEST_SKIP() << "no extended attributes in /tmp";
    start();
    ASSERT_EQ(attach(2, 1234), 0);
  }
};

TEST_F(MappedXattr, OwnerAndPermissionsAreInAttributes) {
  ASSERT_EQ(create(2, "file", O_RDWR, 04751, 99), 0);
  const auto file = tree.at("file");
  EXPECT_EQ(host_stat(file).st_mode, 0100600u);
  EXPECT_EQ(host_stat(file).st_uid, geteuid());
  EXPECT_EQ(attribute(file, "user.virtfs.uid"), 1234u);
  EXPECT_EQ(attribute(file, "user.virtfs.gid"), 99u);
  EXPECT_EQ(attribute(file, "user.virtfs.mode"), 0104751u);
  EXPECT_EQ(getattr(2).mode, 0104751u);
  EXPECT_EQ(getattr(2).uid, 1234u);
  EXPECT_EQ(setattr(2, {.valid = k_mode | k_uid | k_gid, .mode = 0400, .uid = 7, .gid = 8}), 0);
  EXPECT_EQ(getattr(2).mode, 0100400u);
  EXPECT_EQ(getattr(2).uid, 7u);
  EXPECT_EQ(getattr(2).gid, 8u);
  EXPECT_EQ(host_stat(file).st_mode, 0100600u);
}

TEST_F(MappedXattr, FoldersLinksAndNodesAreKindsInAttributes) {
  ASSERT_EQ(mkdir(2, "folder", 01777), 0);
  EXPECT_EQ(host_stat(tree.at("folder")).st_mode, 040700u);
  EXPECT_EQ(attribute(tree.at("folder"), "user.virtfs.mode"), 041777u);
  ASSERT_EQ(symlink(2, "link", "/etc/passwd"), 0);
  EXPECT_TRUE(S_ISREG(host_stat(tree.at("link")).st_mode));
  EXPECT_EQ(SharedTree::get(tree.at("link")), "/etc/passwd");
  ASSERT_EQ(walk(2, 3, {"link"}), 0);
  EXPECT_EQ(readlink(3), "/etc/passwd");
  EXPECT_EQ(getattr(3).mode, u32{S_IFLNK | 0777});
  EXPECT_EQ(getattr(3).qid.type, Qid::Symlink);
  EXPECT_EQ(walk(3, 4, {"x"}), ENOTDIR);
  ASSERT_EQ(mknod(2, "disk", S_IFBLK | 0660, 8, 300), 0);
  EXPECT_TRUE(S_ISREG(host_stat(tree.at("disk")).st_mode));
  EXPECT_EQ(attribute(tree.at("disk"), "user.virtfs.rdev"), makedev(8, 300));
  ASSERT_EQ(walk(2, 5, {"disk"}), 0);
  EXPECT_EQ(getattr(5).mode, u32{S_IFBLK | 0660});
  EXPECT_EQ(getattr(5).rdev, makedev(8, 300));
}

TEST_F(MappedXattr, ItsAttributesAreNotTheGuestsAndAclsAreInSome) {
  SharedTree::put(tree.at("file"), "");
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_EQ(set_xattr(3, "user.virtfs.uid", "aaaa"), EACCES);
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_EQ(set_xattr(3, "system.posix_acl_access", "any"), 0);
  EXPECT_EQ(getxattr(tree.at("file").c_str(), "user.virtfs.system.posix_acl_access", nullptr, 0), 3);
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_EQ(setattr(3, {.valid = k_uid, .uid = 3}), 0);
  EXPECT_EQ(get_xattr(3, "user.virtfs.uid"), "ERROR " + std::to_string(ENODATA));
  EXPECT_EQ(get_xattr(3, ""), std::string("system.posix_acl_access\0", 24));
}

TEST_F(MappedXattr, PermissionsOnTheHostAreAsAskedFor) {
  Client c({.model = SecurityModel::MappedXattr, .file_mode = 0640, .folder_mode = 0750});
  c.start();
  ASSERT_EQ(c.mkdir(k_root, "folder", 0777), 0);
  ASSERT_EQ(c.create(k_root, "file", O_RDWR, 0777), 0);
  EXPECT_EQ(host_stat(c.tree.at("folder")).st_mode & 0777, 0750u);
  EXPECT_EQ(host_stat(c.tree.at("file")).st_mode & 0777, 0640u);
}

// --- mapped-file

class MappedFile : public ::testing::Test, public Client {
 protected:
  MappedFile() : Client({.model = SecurityModel::MappedFile}) {
    start();
    if (attach(2, 1234) != 0) std::abort();
  }
  std::string record(const std::string& path) { return SharedTree::get(tree.at(path)); }
};

TEST_F(MappedFile, OwnerAndPermissionsAreInARecord) {
  ASSERT_EQ(walk(2, 3, {}), 0);
  ASSERT_EQ(create(3, "file", O_RDWR, 0751, 99), 0);
  EXPECT_EQ(record(".virtfs_metadata/file"), "virtfs.uid=1234\nvirtfs.gid=99\nvirtfs.mode=33257\n");
  EXPECT_EQ(host_stat(tree.at(".virtfs_metadata")).st_mode, 040700u);
  EXPECT_EQ(getattr(3).uid, 1234u);
  EXPECT_EQ(setattr(3, {.valid = k_mode, .mode = 0400}), 0);
  EXPECT_EQ(getattr(3).mode, 0100400u);
  EXPECT_EQ(getattr(3).gid, 99u);
  EXPECT_EQ(setattr(2, {.valid = k_uid, .uid = 5}), 0) << "of the shared folder itself";
  EXPECT_EQ(record(".virtfs_metadata_root"), "virtfs.uid=5\n");
  EXPECT_EQ(getattr(2).uid, 5u);
}

TEST_F(MappedFile, RecordsFollowTheirFiles) {
  ASSERT_EQ(mkdir(2, "folder", 0700), 0);
  ASSERT_EQ(walk(2, 3, {"folder"}), 0);
  ASSERT_EQ(mknod(2, "fifo", S_IFIFO | 0640), 0);
  ASSERT_EQ(renameat(2, "fifo", 3, "moved"), 0);
  EXPECT_FALSE(fs::exists(tree.at(".virtfs_metadata/fifo")));
  ASSERT_EQ(walk(3, 4, {"moved"}), 0);
  EXPECT_EQ(getattr(4).mode, u32{S_IFIFO | 0640});
  ASSERT_EQ(link(2, 4, "second"), 0);
  ASSERT_EQ(walk(2, 5, {"second"}), 0);
  EXPECT_EQ(getattr(5).mode, u32{S_IFIFO | 0640});
  SharedTree::put(tree.at("plain"), "");
  ASSERT_EQ(renameat(2, "plain", 2, "second"), 0);
  ASSERT_EQ(walk(2, 6, {"second"}), 0);
  EXPECT_TRUE(S_ISREG(getattr(6).mode)) << "not what was said of the file that had the name";
  ASSERT_EQ(unlinkat(3, "moved"), 0);
  EXPECT_EQ(unlinkat(2, "folder", k_removedir), 0) << "though there was a folder of records in it";
}

/// As QEMU has it: only the removal of a folder looks behind the records.
TEST_F(MappedFile, AFolderWithRecordsIsReplacedByNone) {
  ASSERT_EQ(mkdir(2, "from", 0700), 0);
  ASSERT_EQ(mkdir(2, "to", 0750), 0);
  ASSERT_EQ(mkdir(2, "fresh", 0750), 0);
  ASSERT_EQ(walk(2, 3, {"to"}), 0);
  ASSERT_EQ(mknod(3, "file", S_IFREG | 0640), 0);
  ASSERT_EQ(unlinkat(3, "file"), 0);
  EXPECT_EQ(renameat(2, "from", 2, "to"), ENOTEMPTY);
  EXPECT_EQ(getattr(3).mode, u32{S_IFDIR | 0750});
  EXPECT_EQ(renameat(2, "from", 2, "fresh"), 0);
  ASSERT_EQ(walk(2, 4, {"fresh"}), 0);
  EXPECT_EQ(getattr(4).mode, u32{S_IFDIR | 0700});
  EXPECT_EQ(unlinkat(2, "to", k_removedir), 0);
}

TEST_F(MappedFile, RecordsAreNotTheGuests) {
  ASSERT_EQ(mkdir(2, "folder"), 0);
  for (const char* name : {".virtfs_metadata", ".virtfs_metadata_root"}) {
    EXPECT_EQ(walk(2, 9, {name}), EINVAL);
    EXPECT_EQ(mkdir(2, name), EINVAL);
    EXPECT_EQ(symlink(2, name, "/etc"), EINVAL);
    EXPECT_EQ(unlinkat(2, name, k_removedir), EINVAL);
    EXPECT_EQ(renameat(2, name, 2, "x"), EINVAL);
    EXPECT_EQ(renameat(2, "folder", 2, name), EINVAL);
  }
  ASSERT_EQ(walk(2, 3, {}), 0);
  ASSERT_EQ(open(3, O_RDONLY), 0);
  std::vector<Entry> entries;
  ASSERT_EQ(readdir(3, 0, 4096, entries), 0);
  EXPECT_EQ(entries.size(), 3u);
  for (const Entry& e : entries) EXPECT_EQ(e.type, 0) << "a kind that is in a record";
}

TEST_F(MappedFile, AFileWithoutANameLeavesTheRecordOfAnotherAlone) {
  ASSERT_EQ(walk(2, 3, {}), 0);
  ASSERT_EQ(create(3, "file", O_RDWR, 0751), 0);
  ASSERT_EQ(walk(2, 4, {"file"}), 0) << "and by a fid that is not open";
  ASSERT_EQ(unlinkat(2, "file"), 0);
  ASSERT_EQ(walk(2, 5, {}), 0);
  ASSERT_EQ(create(5, "file", O_RDWR, 0640), 0);
  const std::string others = record(".virtfs_metadata/file");
  for (const u32 fid : {3u, 4u}) {
    EXPECT_EQ(getattr(fid).mode & 07777, fid == 3 ? 0751u : 0400u) << "what was said last of the file";
    EXPECT_EQ(setattr(fid, {.valid = k_mode, .mode = 0400}), 0);
    EXPECT_EQ(getattr(fid).mode, 0100400u);
    EXPECT_EQ(getattr(fid).uid, 1234u);
  }
  EXPECT_EQ(record(".virtfs_metadata/file"), others);
  EXPECT_EQ(getattr(5).mode, 0100640u);
  ASSERT_EQ(mknod(2, "new", S_IFREG | 0600), 0);
  ASSERT_EQ(renameat(2, "new", 2, "file"), 0);
  EXPECT_EQ(setattr(5, {.valid = k_mode, .mode = 0777}), 0) << "nor if it was replaced";
  ASSERT_EQ(walk(2, 6, {"file"}), 0);
  EXPECT_EQ(getattr(6).mode, 0100600u);
}

TEST_F(MappedFile, AFileWithoutANameLeavesNoRecordThatKeepsItsFolder) {
  ASSERT_EQ(mkdir(2, "folder", 0700), 0);
  ASSERT_EQ(walk(2, 3, {"folder"}), 0);
  ASSERT_EQ(create(3, "file", O_RDWR, 0600), 0);
  ASSERT_EQ(walk(2, 4, {"folder"}), 0);
  ASSERT_EQ(unlinkat(4, "file"), 0);
  EXPECT_EQ(setattr(3, {.valid = k_mode, .mode = 0400}), 0);
  EXPECT_EQ(clunk(3), 0);
  EXPECT_EQ(unlinkat(2, "folder", k_removedir), 0);
}

TEST_F(MappedFile, WhatTheHostPutUnderAFilesNameDoesNotGetItsRecord) {
  ASSERT_EQ(walk(2, 3, {}), 0);
  ASSERT_EQ(create(3, "file", O_RDWR, 0751), 0);
  const std::string before = record(".virtfs_metadata/file");
  SharedTree::put(tree.at("other"), "");
  fs::rename(tree.at("other"), tree.at("file"));
  EXPECT_EQ(setattr(3, {.valid = k_mode, .mode = 0777}), ESTALE);
  EXPECT_EQ(record(".virtfs_metadata/file"), before);
}

TEST_F(MappedFile, RecordsOfQemuWithNegativeNumbersAreRead) {
  SharedTree::put(tree.at("file"), "");
  fs::create_directory(tree.at(".virtfs_metadata"));
  SharedTree::put(tree.at(".virtfs_metadata/file"), "virtfs.uid=-2\nvirtfs.gid=7\nvirtfs.mode=33188\n");
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_EQ(getattr(3).uid, 0xffff'fffeu);
  EXPECT_EQ(getattr(3).gid, 7u);
}

TEST_F(MappedFile, AclsOfTheHostAreNotTheGuests) {
  SharedTree::put(tree.at("file"), "");
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_EQ(get_xattr(3, "system.posix_acl_access"), "ERROR " + std::to_string(EOPNOTSUPP));
  EXPECT_EQ(set_xattr(3, "system.posix_acl_access", "any"), EOPNOTSUPP);
}

TEST_F(MappedFile, WhatTheHostPutsInTheirPlaceIsNotFollowed) {
  SharedTree::put(tree.base() / "fake", "virtfs.uid=77\n");
  fs::create_directory(tree.at(".virtfs_metadata"));
  fs::create_symlink(tree.base() / "fake", tree.at(".virtfs_metadata/file"));
  SharedTree::put(tree.at("file"), "");
  ASSERT_EQ(walk(2, 3, {"file"}), 0);
  EXPECT_NE(getattr(3).uid, 77u);
  EXPECT_NE(setattr(3, {.valid = k_uid, .uid = 3}), 0);
  EXPECT_EQ(SharedTree::get(tree.base() / "fake"), "virtfs.uid=77\n");
  ASSERT_EQ(::mkfifo(tree.at(".virtfs_metadata/pipe").c_str(), 0600), 0);
  SharedTree::put(tree.at("pipe"), "");
  ASSERT_EQ(walk(2, 4, {"pipe"}), 0);
  EXPECT_EQ(getattr(4).error, 0);
}

}  // namespace
}  // namespace armvisor::devices::ninep
