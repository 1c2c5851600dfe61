// Archives and images of containers as file systems of a guest's: what they hold, and what somebody else's may try.
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "exec/byte_source.h"
#include "exec/cache_folder.h"
#include "exec/confined.h"
#include "exec/disk_layout.h"
#include "exec/ext_folder.h"
#include "exec/packed_system.h"
#include "tar_file.h"

namespace armvisor::exec {
namespace {

namespace fs = std::filesystem;
using test::TarFile;

std::span<const u8> bytes_of(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

std::string gzip(const std::string& plain) {
  std::string packed(plain.size() / 2 + 1000, '\0');
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

class Packed : public testing::Test {
 protected:
  Packed() {
    EXPECT_NE(mkdtemp(folder_), nullptr);
    setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
  }
  ~Packed() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return std::string(folder_) + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  Result<PackedSystem> open(const std::string& text, u64 most = u64{64} << 20) {
    AV_TRY_ASSIGN(const SystemName name, find_system(text));
    return open_packed_system(name, {.most = most}, patience_);
  }
  std::string refusal(const std::string& archive, u64 most = u64{64} << 20) {
    const auto system = open(write("archive-" + std::to_string(++files_), archive), most);
    return system ? "" : system.error().message;
  }
  /// Of one whose file system e2fsck finds right.
  Folder files(const PackedSystem& system) const {
    const std::string image = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(system.image.get());
    const int status =
        std::system(("PATH=$PATH:/sbin:/usr/sbin; e2fsck -fn " + image + " > " + path("log") + " 2>&1").c_str());
    std::ifstream log(path("log"));
    EXPECT_EQ(status, 0) << std::string(std::istreambuf_iterator<char>(log), {});
    return *open_ext_folder(system.image.get(), "image");
  }
  static std::string content(const Folder& folder, const std::string& name) {
    const auto bytes = folder.read(name, 1 << 20);
    return bytes ? std::string(bytes->begin(), bytes->end()) : bytes.error().message;
  }

  Patience patience_;

 private:
  char folder_[32] = "/tmp/armvisor_packed_XXXXXX";
  int files_ = 0;
};

/// What an inode says.
struct ExtStat {
  explicit ExtStat(const PackedSystem& system, const char* name) {
    ext2_filsys fs = nullptr;
    const std::string image = "/proc/self/fd/" + std::to_string(system.image.get());
    EXPECT_EQ(ext2fs_open(image.c_str(), EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs), 0);
    EXPECT_EQ(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, name, &number), 0) << name;
    EXPECT_EQ(ext2fs_read_inode(fs, number, &inode), 0);
    ext2_xattr_handle* handle = nullptr;
    EXPECT_EQ(ext2fs_xattrs_open(fs, number, &handle), 0);
    EXPECT_EQ(ext2fs_xattrs_read(handle), 0);
    ext2fs_xattrs_count(handle, &xattrs);
    ext2fs_xattrs_close(&handle);
    ext2fs_free(fs);
  }
  ext2_ino_t number = 0;
  ext2_inode inode{};
  std::size_t xattrs = 0;
  u32 uid() const { return inode_uid(inode); }
  u32 gid() const { return inode_gid(inode); }
};

TEST_F(Packed, AnArchiveIsAFileSystemWithOwnersModesLinksAndDevices) {
  TarFile tar;
  tar.add({.name = "./", .type = '5', .mode = 0711});
  tar.add({.name = "./usr/lib/", .type = '5', .mode = 0755});
  tar.add({.name = "./lib", .type = '2', .link = "usr/lib", .mode = 0777});
  tar.add({.name = "./lib/file", .data = "through the link", .mode = 04750, .uid = 100000, .gid = 70000});
  tar.add({.name = "./second", .type = '1', .link = "./lib/file"});
  tar.add({.name = "./empty"});
  tar.add({.name = "./long", .type = '2', .link = "/usr/../usr/./lib/" + std::string(70, 'x')});
  tar.add({.name = "./dev/null", .type = '3', .mode = 0666, .major = 1, .minor = 3});
  tar.add({.name = "./dev/sda", .type = '4', .mode = 0660, .gid = 6, .major = 259, .minor = 70000});
  tar.add({.name = "./fifo", .type = '6', .mode = 0600});
  tar.add({.name = "./large", .data = std::string(3 << 20, 'l')});
  tar.add({.name = "./again", .data = "first"}).add({.name = "./again", .data = "last"});
  const auto system = open(write("system.tar.gz", gzip(tar.bytes())));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_FALSE(system->is_image);
  const Folder root = files(*system);
  EXPECT_EQ(root.list(""),
            (std::vector<std::string>{"again", "dev", "empty", "fifo", "large", "lib", "long", "second", "usr"}));
  EXPECT_EQ(content(root, "second"), "through the link");
  EXPECT_EQ(content(root, "lib/file"), "through the link");
  const auto large = root.read("large", 4 << 20);
  ASSERT_TRUE(large);
  EXPECT_EQ(*large, std::vector<u8>(3 << 20, 'l'));
  EXPECT_EQ(content(root, "again"), "last");
  const ExtStat file(*system, "/usr/lib/file");
  EXPECT_EQ(file.inode.i_mode, S_IFREG | 04750);
  EXPECT_EQ(std::pair(file.uid(), file.gid()), std::pair(100000u, 70000u));
  EXPECT_EQ(file.inode.i_links_count, 2);
  EXPECT_EQ(file.inode.i_mtime, 1600000000u);
  EXPECT_EQ(ExtStat(*system, "/second").number, file.number);
  EXPECT_EQ(ExtStat(*system, "/").inode.i_mode, S_IFDIR | 0711);
  EXPECT_EQ(ExtStat(*system, "/dev/null").inode.i_block[1], 0x103u);
  EXPECT_EQ(ExtStat(*system, "/dev/sda").inode.i_block[1], (70000u & 0xff) | 259u << 8 | (70000u & ~0xffu) << 12);
  EXPECT_EQ(ExtStat(*system, "/long").inode.i_size, 88u);
}

TEST_F(Packed, TheSecondStartHasWhatTheFirstMadeAndAnotherArchiveNot) {
  const std::string archive = write("a.tar", TarFile().add({.name = "file", .data = "1"}).bytes());
  const auto first = open(archive), second = open(archive);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(file_identity(first->image.get()).substr(0, 20), file_identity(second->image.get()).substr(0, 20));
  write("a.tar", TarFile().add({.name = "file", .data = "2"}).bytes());
  const auto third = open(archive);
  ASSERT_TRUE(third);
  EXPECT_EQ(content(files(*third), "file"), "2");
  EXPECT_EQ(content(files(*first), "file"), "1");
}

TEST_F(Packed, WithoutACacheItIsMadeEachTime) {
  write("cache/armvisor", "no folder");
  const auto system = open(write("a.tar", TarFile().add({.name = "file", .data = "1"}).bytes()));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "file"), "1");
}

TEST_F(Packed, NamesLeadNowhereOutside) {
  EXPECT_NE(refusal(TarFile().add({.name = "a/../../b"}).bytes()).find("names below the system"), std::string::npos);
  TarFile tar;
  tar.add({.name = "up", .type = '2', .link = "../../../../etc"}).add({.name = "up/made", .data = "inside"});
  tar.add({.name = "/absolute", .data = "inside"});
  const auto system = open(write("a.tar", tar.bytes()));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "etc/made"), "inside");
  EXPECT_EQ(content(files(*system), "absolute"), "inside");
}

TEST_F(Packed, AHardLinkMayTakeThePlaceOfTheFolderThatItsFileWasIn) {
  TarFile tar;
  tar.add({.name = "a/b", .data = "kept"}).add({.name = "a", .type = '1', .link = "a/b"});
  const auto system = open(write("a.tar", tar.bytes()));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "a"), "kept");
}

TEST_F(Packed, WhatTheUserSaysThatAFileIsHolds) {
  const std::string archive = write("a.tar", TarFile().add({.name = "blobs/x", .data = "a system's"}).bytes());
  EXPECT_FALSE(open(archive)) << "it looks like images";
  EXPECT_TRUE(open("tar:" + archive));
  EXPECT_FALSE(open("oci-archive:" + archive)) << "though the same file is in the cache as something else";
  EXPECT_FALSE(open(archive));
}

TEST_F(Packed, WhatMakesNoSenseIsSaid) {
  EXPECT_NE(refusal(TarFile().add({.name = "a", .type = '1', .link = "b"}).bytes()).find("another name of"),
            std::string::npos);
  EXPECT_NE(refusal(TarFile().add({.name = "a", .type = '2', .link = "a"}).add({.name = "a/b"}).bytes()).find("itself"),
            std::string::npos);
  EXPECT_NE(refusal(TarFile().add({.name = ".", .type = '0', .data = "x"}).bytes()), "");
  EXPECT_NE(refusal(TarFile().add({.name = "a", .data = std::string(5000, 'x')}).bytes().substr(0, 3000)), "");
  EXPECT_NE(refusal("no archive at all"), "");
  EXPECT_NE(refusal(""), "");
}

TEST_F(Packed, WhatIsUnpackedHasABound) {
  constexpr u64 most = u64{16} << 20;
  EXPECT_NE(refusal(gzip(TarFile().add({.name = "bomb", .data = std::string(32 << 20, 'b')}).bytes()), most)
                .find("--unpacked"),
            std::string::npos);
  EXPECT_NE(refusal(TarFile().add({.name = "a", .size = "77777777777"}).bytes(), most), "") << "8 GiB";
  TarFile names;
  for (int n = 0; n < 2200; ++n) names.add({.name = "f" + std::to_string(n)});
  EXPECT_NE(refusal(gzip(names.bytes()), most).find("--unpacked"), std::string::npos);
  TarFile same;  // as long as an archive is, which has no file but one
  for (int n = 0; n < 40; ++n) same.add({.name = "f", .data = std::string(2 << 20, 's')});
  EXPECT_NE(refusal(gzip(same.bytes()), most).find("of archive"), std::string::npos);
  TarFile deep;  // through a link, each path being short
  std::string path = "a";
  for (int n = 0; n < 40; ++n) path += "/a";
  for (int n = 0; n < 60; ++n) {
    deep.add({.name = (n ? "l" + std::to_string(n - 1) + "/" : "") + path, .type = '5'});
    deep.add(
        {.name = "l" + std::to_string(n), .type = '2', .link = (n ? "l" + std::to_string(n - 1) + "/" : "") + path});
  }
  EXPECT_NE(refusal(gzip(deep.bytes()), u64{64} << 20), "");
}

TEST_F(Packed, ASignalThatWaitsOrATimeThatIsOverEndsIt) {
  const std::string archive = write("a.tar", TarFile().add({.name = "file"}).bytes());
  patience_ = Patience({}, Patience::Clock::now());
  EXPECT_FALSE(open(archive));
  EXPECT_TRUE(patience_.timed_out());
  sigset_t mask, before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &mask, &before);
  raise(SIGUSR2);
  patience_ = Patience({SIGTERM, SIGUSR2}, std::nullopt);
  EXPECT_FALSE(open(archive));
  EXPECT_EQ(patience_.signal(), SIGUSR2);
  int taken = 0;
  sigwait(&mask, &taken);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(Packed, SymbolicLinksThatMultiplyHaveAnEnd) {
  TarFile tar;
  tar.add({.name = "d/", .type = '5'});
  std::string before = "d";
  for (int n = 0; n < 6; ++n) {  // links of up to 100 bytes, the first of which leads to d 8^6 times
    const std::string name = "l" + std::to_string(n);
    std::string text;
    for (int times = 0; times < 8; ++times) text += before + "/../";
    tar.add({.name = name, .type = '2', .link = text + before});
    before = name;
  }
  tar.add({.name = "boot", .type = '2', .link = before}).add({.name = "d/file", .data = "x"});
  tar.add({.name = "here", .type = '2', .link = "/../d/./file"}).add({.name = "self", .type = '2', .link = "self"});
  const auto system = open(write("a.tar", tar.bytes()));
  ASSERT_TRUE(system) << system.error().message;
  const Folder root = files(*system);
  EXPECT_FALSE(root.has("boot")) << "more than 40 links are on the way";
  EXPECT_FALSE(root.has("self"));
  EXPECT_EQ(content(root, "l0/file"), "x");
  EXPECT_EQ(content(root, "here"), "x");
  EXPECT_EQ(root.list("l0"), std::vector<std::string>{"file"});
}

TEST_F(Packed, AFolderThatNamesItsBlocksAgainAndAgainHasAnEnd) {
  const auto system = open(write("a.tar", TarFile().add({.name = "boot/vmlinuz-1"}).bytes()));
  ASSERT_TRUE(system) << system.error().message;
  ext2_filsys fs = nullptr;
  const std::string image = "/proc/self/fd/" + std::to_string(system->image.get());
  ASSERT_EQ(ext2fs_open(image.c_str(), EXT2_FLAG_64BITS | EXT2_FLAG_RW, 0, 0, unix_io_manager, &fs), 0);
  ext2_ino_t boot = 0;
  ASSERT_EQ(ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, "/boot", &boot), 0);
  ext2_inode inode{};
  ASSERT_EQ(ext2fs_read_inode(fs, boot, &inode), 0);
  blk64_t block = 0;
  const blk64_t once = 16000, twice = 16001;  // free, of 16384
  ASSERT_EQ(ext2fs_bmap2(fs, boot, &inode, nullptr, 0, 0, nullptr, &block), 0);
  std::vector<u32> pointers(1024, static_cast<u32>(block));
  ASSERT_EQ(io_channel_write_blk64(fs->io, once, 1, pointers.data()), 0);
  pointers.assign(1024, static_cast<u32>(once));
  ASSERT_EQ(io_channel_write_blk64(fs->io, twice, 1, pointers.data()), 0);
  inode.i_flags = 0;
  std::fill_n(inode.i_block, 12, static_cast<u32>(block));
  inode.i_block[12] = static_cast<u32>(once);
  inode.i_block[13] = static_cast<u32>(twice);
  inode.i_block[14] = 0;
  inode.i_size = 0x7ffff000;
  ASSERT_EQ(ext2fs_write_inode(fs, boot, &inode), 0);
  ext2fs_free(fs);
  const auto root = open_ext_folder(system->image.get(), "image");
  ASSERT_TRUE(root);
  EXPECT_LE(root->list("boot").size(), 65536u);
  EXPECT_FALSE(root->has("boot/none"));
}

TEST(Confined, WhatComesBackAreWordsAndFilesOrAnError) {
  Patience patience;
  const Confines confines = {.memory = u64{64} << 20, .file_size = 1 << 20};
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  Fd reader(pipes[0]), writer(pipes[1]);
  const std::string large(100000, 'l');
  auto findings = work_confined("it", confines, patience, [&]() -> Result<Findings> {
    Findings f{.words = {"", large}};
    f.files.push_back(std::move(writer));
    return f;
  });
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_EQ(findings->words, (std::vector<std::string>{"", large}));
  ASSERT_EQ(findings->files.size(), 1u);
  EXPECT_EQ(::write(findings->files[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  const auto error = work_confined("it", confines, patience, []() -> Result<Findings> {
    return Error{ErrorKind::BadArguments, "no"};
  });
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().message, "no");
  EXPECT_EQ(error.error().kind, ErrorKind::BadArguments);
}

TEST(Confined, WorkWithoutAnEndIsEnded) {
  Patience patience({}, Patience::Clock::now() + std::chrono::milliseconds(50));
  const Confines confines = {.memory = u64{64} << 20, .file_size = 1 << 20};
  EXPECT_FALSE(work_confined("it", confines, patience, []() -> Result<Findings> {
    for (;;) usleep(1000);
  }));
  EXPECT_TRUE(patience.timed_out());
}

TEST(Confined, WorkThatWantsTooMuchMemoryIsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator does not bear a limit of memory";
#endif
  Patience patience;
  const Confines confines = {.memory = u64{64} << 20, .file_size = 1 << 20};
  const auto memory = work_confined("it", confines, patience, []() -> Result<Findings> {
    std::vector<std::vector<char>> all;
    for (;;) all.emplace_back(1 << 20, 'm');
  });
  EXPECT_FALSE(memory);
}

TEST(Confined, WorkThatDiesOrWritesTooMuchIsAnError) {
  Patience patience;
  const Confines confines = {.memory = u64{64} << 20, .file_size = 1 << 20};
  const auto died = work_confined("it", confines, patience, []() -> Result<Findings> {
    raise(SIGKILL);
    return Findings{};
  });
  ASSERT_FALSE(died);
  EXPECT_NE(died.error().message.find("signal 9"), std::string::npos) << died.error().message;
  const auto file = work_confined("it", confines, patience, []() -> Result<Findings> {
    const Fd data(memfd_create("data", MFD_CLOEXEC));
    return Findings{.words = {ftruncate(data.get(), 2 << 20) == 0 ? "written" : strerror(errno)}};
  });
  ASSERT_TRUE(file);
  EXPECT_EQ(file->words[0], strerror(EFBIG));
}

/// An OCI layout, whose blobs have their names.
class Images : public Packed {
 protected:
  std::string blob(const std::string& bytes) {
    const std::string digest = digest_of(bytes_of(bytes));
    write("image/blobs/sha256/" + digest, bytes);
    sizes_[digest] = bytes.size();
    return digest;
  }
  std::string manifest(const std::string& platform, const std::vector<std::string>& layers,
                       const std::string& config = "{}") {
    const std::string config_digest = blob("{" + platform + R"(, "config": )" + config + "}");
    std::string text = R"({"config": {"digest": "sha256:)" + config_digest + R"("}, "layers": [)";
    for (std::size_t n = 0; n < layers.size(); ++n)
      text += std::string(n ? "," : "") + R"({"digest": "sha256:)" + blob(layers[n]) + R"("})";
    return blob(text + "]}");
  }
  static std::string descriptor(const std::string& digest, const std::string& more = "",
                                const char* type = "manifest") {
    return R"({"mediaType": "application/vnd.oci.image.)" + std::string(type) + R"(.v1+json", "digest": "sha256:)" +
           digest + "\"" + more + "}";
  }
  void index(const std::string& descriptors) {
    write("image/oci-layout", "{}");
    write("image/index.json", R"({"manifests": [)" + descriptors + "]}");
  }
  static std::string arm(const std::string& variant) {
    return R"("os": "linux", "architecture": "arm")" + (variant.empty() ? "" : R"(, "variant": ")" + variant + "\"");
  }
  static std::string layer(const std::string& text) { return TarFile().add({.name = "which", .data = text}).bytes(); }
  std::map<std::string, std::size_t> sizes_;
};

TEST_F(Images, LayersLieOnOneAnotherAndWhiteoutsTakeAway) {
  TarFile lower, upper;
  lower.add({.name = "etc/", .type = '5'})
      .add({.name = "etc/gone", .data = "1"})
      .add({.name = "etc/stays", .data = "1"});
  lower.add({.name = "tree/old/file"}).add({.name = "opaque/old"}).add({.name = "opaque/both/old"});
  lower.add({.name = "usr/lib/", .type = '5'}).add({.name = "lib", .type = '2', .link = "usr/lib"});
  upper.add({.name = "etc/.wh.gone"}).add({.name = ".wh.tree"}).add({.name = "opaque/both/new"});
  upper.add({.name = "opaque/.wh..wh..opq"}).add({.name = "opaque/new"}).add({.name = "etc/.wh..wh.plnk"});
  upper.add({.name = "hard", .type = '1', .link = "etc/stays"}).add({.name = "lib/added"});
  index(descriptor(
      manifest(arm("v7"), {gzip(lower.bytes()), upper.bytes()},
               R"({"User": "1:2", "Env": ["A=b"], "Cmd": ["c"], "Entrypoint": ["e"], "WorkingDir": "/work/here"})")));
  const auto system = open(path("image"));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_TRUE(system->is_image);
  const Folder root = files(*system);
  EXPECT_EQ(root.list(""), (std::vector<std::string>{"etc", "hard", "lib", "opaque", "usr", "work"}));
  EXPECT_EQ(root.list("etc"), (std::vector<std::string>{"hosts", "stays"}));
  EXPECT_EQ(root.list("opaque"), (std::vector<std::string>{"both", "new"}));
  EXPECT_EQ(root.list("opaque/both"), (std::vector<std::string>{"new"}));
  EXPECT_EQ(root.list("usr/lib"), (std::vector<std::string>{"added"}));
  EXPECT_EQ(ExtStat(*system, "/hard").number, ExtStat(*system, "/etc/stays").number);
  EXPECT_TRUE(root.has("work/here"));
  for (int n = 0; n < 2; ++n) {  // the second is the cache's
    const auto again = open("oci:" + path("image"));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->config.user, "1:2");
    EXPECT_EQ(again->config.variables, std::vector<std::string>{"A=b"});
    EXPECT_EQ(again->config.entrypoint, std::vector<std::string>{"e"});
    EXPECT_EQ(again->config.command, std::vector<std::string>{"c"});
    EXPECT_EQ(again->config.folder, "/work/here");
  }
}

TEST_F(Images, TheBestForTheMachineIsChosenAndOthersAreNot) {
  const auto with_platform = [&](const std::string& platform, const std::string& text) {
    return descriptor(manifest(platform, {layer(text)}), ", \"platform\": {" + platform + "}");
  };
  const std::string amd64 = R"("os": "linux", "architecture": "amd64")",
                    arm64 = R"("os": "linux", "architecture": "arm64")";
  const std::string inner =
      blob(R"({"manifests": [)" + with_platform(amd64, "amd64") + "," + with_platform(arm("v6"), "v6") + "," +
           with_platform(arm("v7"), "v7") + "," + with_platform(arm("v5"), "v5") + "]}");
  index(descriptor(inner, "", "index"));
  auto system = open(path("image"));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "which"), "v7");
  index(with_platform(arm("v5"), "v5") + "," + with_platform(arm("v6"), "v6"));
  system = open(path("image"));
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "which"), "v6");
  index(with_platform(amd64, "x") + "," + descriptor(manifest(arm64, {layer("y")})));
  system = open(path("image"));
  ASSERT_FALSE(system);
  EXPECT_NE(system.error().message.find("found linux/amd64, linux/arm64"), std::string::npos) << system.error().message;
  EXPECT_NE(system.error().message.find("skopeo"), std::string::npos);
}

TEST_F(Images, ATagChoosesOneOfSeveral) {
  const auto tagged = [&](const char* tag) {
    return descriptor(manifest(arm(""), {layer(tag)}),
                      R"(, "annotations": {"org.opencontainers.image.ref.name": ")" + std::string(tag) + "\"}");
  };
  index(tagged("one") + "," + tagged("two"));
  auto system = open("oci:" + path("image") + ":two");
  ASSERT_TRUE(system) << system.error().message;
  EXPECT_EQ(content(files(*system), "which"), "two");
  system = open(path("image"));
  ASSERT_FALSE(system);
  EXPECT_NE(system.error().message.find(":TAG"), std::string::npos);
  EXPECT_FALSE(open("oci:" + path("image") + ":three"));
  index(descriptor(manifest(arm(""), {layer("saved")}),
                   R"(, "annotations": {"org.opencontainers.image.ref.name": "12", "io.containerd.image.name": )"
                   R"("docker.io/library/debian:12"})"));
  for (const char* tag : {"12", "debian:12", "library/debian:12", "docker.io/library/debian:12"})
    EXPECT_TRUE(open("oci:" + path("image") + ":" + tag)) << tag;
  EXPECT_FALSE(open("oci:" + path("image") + ":ian:12"));
}

TEST_F(Images, WhatHasAnotherDigestThanItsNameIsRefused) {
  const std::string digest = digest_of(bytes_of(layer("right")));
  const std::string whole = manifest(arm("v7"), {layer("right")});
  index(descriptor(whole));
  write("image/blobs/sha256/" + digest, layer("wrong"));
  EXPECT_FALSE(open(path("image")));
  write("image/blobs/sha256/" + digest, layer("right"));
  EXPECT_TRUE(open(path("image")));
  fs::remove_all(path("cache"));
  write("image/blobs/sha256/" + whole, "{}");
  EXPECT_FALSE(open(path("image")));
  index(descriptor("../../../../etc/passwd"));
  EXPECT_FALSE(open(path("image")));
  write("image/index.json", std::string(100000, '['));
  EXPECT_FALSE(open(path("image")));
}

TEST_F(Images, ArchivesOfThemAreKnownByTheirFirstName) {
  index(descriptor(manifest(arm("v7"), {layer("in a tar")})));
  TarFile tar;
  tar.add({.name = "./", .type = '5'});
  for (const auto& entry : fs::recursive_directory_iterator(path("image")))
    if (entry.is_regular_file()) {
      std::ifstream in(entry.path(), std::ios::binary);
      tar.add({.name = "./" + fs::relative(entry.path(), path("image")).string(),
               .data = std::string(std::istreambuf_iterator<char>(in), {})});
    }
  const auto layout = open(write("layout.tar.gz", gzip(tar.bytes())));
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(content(files(*layout), "which"), "in a tar");

  const std::string a(64, 'a'), b(64, 'b');
  const std::string config = "{" + arm("v7") + R"(, "config": {"Cmd": ["run"]}})";
  const std::string c = digest_of(bytes_of(config));
  TarFile saved;
  saved.add({.name = a + "/layer.tar", .data = layer("lower")});
  saved.add({.name = b + "/layer.tar", .type = '2', .link = "../" + a + "/layer.tar"});
  saved.add({.name = c + ".json", .data = config});
  saved.add({.name = "manifest.json",
             .data = R"([{"Config": ")" + c + R"(.json", "RepoTags": ["docker.io/library/x:1"], "Layers": [")" + a +
                     R"(/layer.tar", ")" + b + R"(/layer.tar"]}])"});
  const auto docker = open("docker-archive:" + write("saved.tar", saved.bytes()) + ":x:1");
  ASSERT_TRUE(docker) << docker.error().message;
  EXPECT_EQ(content(files(*docker), "which"), "lower");
  EXPECT_EQ(docker->config.command, std::vector<std::string>{"run"});
  EXPECT_FALSE(open("docker-archive:" + path("saved.tar") + ":y:1"));
}

/// Bytes of a disk, as partitioning programs write them.
class DiskBytes {
 public:
  explicit DiskBytes(std::size_t sectors) : bytes_(sectors * 512) {}
  void put(std::size_t at, std::span<const u8> what) {
    std::ranges::copy(what, bytes_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void put(std::size_t at, const std::string& what) { put(at, bytes_of(what)); }
  template <class T>
  void number(std::size_t at, T value) {
    std::memcpy(&bytes_[at], &value, sizeof value);
  }
  void ext4(std::size_t sector) { number<u16>(sector * 512 + 1024 + 56, 0xef53); }
  void mbr(std::size_t sector, std::size_t n, u8 type, u32 first) {
    number<u16>(sector * 512 + 510, 0xaa55);
    bytes_[sector * 512 + 446 + 16 * n + 4] = type;
    number<u32>(sector * 512 + 446 + 16 * n + 8, first);
  }
  void gpt(std::size_t n, const std::string& type, u64 first) {
    put(512, "EFI PART");
    number<u64>(512 + 72, 2);
    number<u32>(512 + 80, 128);
    number<u32>(512 + 84, 128);
    put(1024 + 128 * n, type);
    number<u64>(1024 + 128 * n + 32, first);
  }
  /// "PARTITION TYPE," for each.
  std::string found() const {
    const ReadDisk read = [this](u64 offset, std::span<u8> to) {
      std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
      return true;
    };
    std::string text;
    for (const FileSystemPlace& p : find_file_systems(read, bytes_.size()))
      text += std::to_string(p.partition) + " " + p.type + ",";
    EXPECT_TRUE(text.empty() || looks_like_disk(read, bytes_.size()));
    return text;
  }

 private:
  std::vector<u8> bytes_;
};

TEST(DiskLayout, FileSystemsAreFoundWhereverTheyAre) {
  const std::string linux_type(16, 'l'), arm_root = "\x10\xd7\xda\x69\xe4\x2c\x3c\x4e\xb1\x6c\x21\xa1\xd4\x9a\xbe\xd3";
  DiskBytes bare(200);
  bare.put(0, "XFSB");
  EXPECT_EQ(bare.found(), "0 xfs,");
  DiskBytes gpt(400);
  gpt.mbr(0, 0, 0xee, 1);
  gpt.gpt(0, linux_type, 60);
  gpt.gpt(1, linux_type, 100);
  gpt.gpt(4, arm_root, 150);
  gpt.ext4(60);
  gpt.ext4(150);
  EXPECT_EQ(gpt.found(), "5 ext4,1 ext4,") << "that for the root comes first, and one without a file system not at all";
  DiskBytes mbr(400);
  mbr.mbr(0, 1, 0x83, 50);
  mbr.mbr(0, 3, 0x05, 100);
  mbr.mbr(100, 0, 0x83, 4);
  mbr.mbr(100, 1, 0x05, 60);
  mbr.mbr(160, 0, 0x83, 4);
  mbr.ext4(50);
  mbr.ext4(104);
  mbr.ext4(164);
  EXPECT_EQ(mbr.found(), "2 ext4,5 ext4,6 ext4,");
}

TEST(DiskLayout, TablesThatLeadNowhereHaveAnEnd) {
  DiskBytes loop(400);
  loop.mbr(0, 0, 0x05, 100);
  loop.mbr(100, 0, 0x83, 4);
  loop.mbr(100, 1, 0x05, 0);  // that same sector
  loop.ext4(104);
  EXPECT_NE(loop.found(), "");
  DiskBytes far(100);
  far.mbr(0, 0, 0x83, 0xffffffff);
  far.mbr(0, 1, 0x05, 0xfffffff0);
  EXPECT_EQ(far.found(), "");
  DiskBytes table(100);
  table.gpt(0, "x", ~u64{0});
  table.number<u64>(512 + 72, ~u64{0} / 512);
  EXPECT_EQ(table.found(), "");
  EXPECT_EQ(DiskBytes(0).found(), "");
  EXPECT_EQ(DiskBytes(1).found(), "");
}

TEST_F(Packed, WhatAFileIsIsSeenByItsContent) {
  const auto kind = [&](const std::string& name, const std::string& bytes) {
    return find_system(write(name, bytes))->kind;
  };
  using Kind = SystemName::Kind;
  EXPECT_EQ(kind("a.img", TarFile().add({.name = "x", .data = std::string(4096, 'x')}).bytes()), Kind::Archive);
  EXPECT_EQ(kind("b.tar", std::string("QFI\xfb\0\0\0\3", 8) + std::string(1000, '\0')), Kind::Disk);
  EXPECT_EQ(kind("c.tar", "XFSB" + std::string(1000, '\0')), Kind::Disk);
  EXPECT_EQ(kind("d.qcow2", std::string(100000, '\0')), Kind::Archive) << "no file system, no partitions";
}

TEST_F(Packed, TheCacheKeepsWhatWasUsedLastWithinItsBounds) {
  const CacheFolder cache = CacheFolder::open("systems", "x-", {.files = 2, .bytes = 3 << 20});
  const auto name = [](char c) { return "x-" + std::string(40, c) + "-1"; };
  const auto keep = [&](char c, std::size_t bytes) {
    CacheFolder::Unfinished file = cache.begin(name(c));
    ASSERT_TRUE(file);
    const std::string data(bytes, c);
    EXPECT_EQ(::write(file.file(), data.data(), data.size()), static_cast<ssize_t>(bytes));
    EXPECT_TRUE(cache.keep(file, name(c)));
    usleep(20000);  // times of files are as coarse as the kernel's tick
  };
  keep('a', 1000);
  keep('b', 1000);
  EXPECT_TRUE(cache.find(name('a')));
  usleep(20000);
  keep('c', 1000);
  EXPECT_TRUE(cache.find(name('a')));
  EXPECT_FALSE(cache.find(name('b')));
  usleep(20000);
  keep('d', 4 << 20);
  EXPECT_TRUE(cache.find(name('d'))) << "the newest stays, however large";
  EXPECT_FALSE(cache.find(name('a')));
  { const CacheFolder::Unfinished left = cache.begin(name('e')); }
  EXPECT_FALSE(cache.find(name('e')));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("cache/armvisor/systems")), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace armvisor::exec
