// What a guest starts with: which modules in which order, and the archive that they are in.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "exec/console_log.h"
#include "exec/cpio.h"
#include "exec/ext_folder.h"
#include "exec/initramfs.h"
#include "exec/kernel_image.h"
#include "exec/modules.h"
#include "exec/outcome.h"
#include "exec/system_tree.h"
#include "exec/unpack.h"

namespace armvisor::exec {
namespace {

constexpr const char* k_dep =
    "kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/fscache/fscache.ko.xz kernel/fs/netfs/netfs.ko.xz\n"
    "kernel/net/9p/9pnet.ko.xz:\n"
    "kernel/fs/fscache/fscache.ko.xz: kernel/fs/netfs/netfs.ko.xz\n"
    "kernel/fs/netfs/netfs.ko.xz:\n"
    "kernel/drivers/x-y.ko: kernel/core/z.ko\n"
    "broken\n";

TEST(Modules, ThoseThatAreNeededComeFirstAndEachOnce) {
  const ModuleList list(k_dep, "kernel/core/z.ko\n");
  std::vector<std::string> order;
  EXPECT_TRUE(list.add("9pnet", order));
  EXPECT_TRUE(list.add("9p", order));
  EXPECT_EQ(order, (std::vector<std::string>{"kernel/net/9p/9pnet.ko.xz", "kernel/fs/netfs/netfs.ko.xz",
                                             "kernel/fs/fscache/fscache.ko.xz", "kernel/fs/9p/9p.ko.xz"}));
}

TEST(Modules, WhatIsBuiltInNeedsNoFile) {
  const ModuleList list(k_dep, "kernel/core/z.ko\n");
  std::vector<std::string> order;
  EXPECT_TRUE(list.add("z", order));
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(list.add("x_y", order));
  EXPECT_EQ(order, std::vector<std::string>{"kernel/drivers/x-y.ko"});
}

TEST(Modules, OneThatIsNotThereIsSaid) {
  std::vector<std::string> order;
  EXPECT_FALSE(ModuleList(k_dep, "").add("overlay", order));
  EXPECT_FALSE(ModuleList(k_dep, "").add("x_y", order)) << "what it needs is missing";
}

TEST(Cpio, AnArchiveIsAsTheKernelReadsIt) {
  CpioArchive archive;
  archive.add_folder("dev");
  const std::string text = "hello";
  archive.add_file("init", {reinterpret_cast<const u8*>(text.data()), text.size()}, 0755);
  const std::vector<u8> bytes = archive.finish();
  std::string names;
  std::size_t at = 0;
  const auto field = [&](std::size_t n) {
    return std::stoul(std::string(&bytes[at + 6 + 8 * n], &bytes[at + 14 + 8 * n]), nullptr, 16);
  };
  while (at < bytes.size()) {
    ASSERT_EQ(std::string(&bytes[at], &bytes[at + 6]), "070701");
    const std::size_t name_size = field(11), size = field(6), data = (at + 110 + name_size + 3) / 4 * 4;
    const std::string name(reinterpret_cast<const char*>(&bytes[at + 110]));
    EXPECT_EQ(name.size() + 1, name_size);
    if (name == "init") {
      EXPECT_EQ(std::string(&bytes[data], &bytes[data + size]), text);
      EXPECT_EQ(field(1), 0100755u);
    }
    names += name + " ";
    at = (data + size + 3) / 4 * 4;
  }
  EXPECT_EQ(names, "dev init TRAILER!!! ");
}

TEST(Initramfs, TheAgentIsAProgramFor32BitArmAndSmall) {
  const auto agent = agent_image();
  ASSERT_GT(agent.size(), 64u);
  EXPECT_LT(agent.size(), 200u << 10);
  EXPECT_EQ(std::string(&agent[1], &agent[4]), "ELF");
  EXPECT_EQ(agent[18], 40) << "EM_ARM";
}

TEST(Initramfs, NothingIsSharedWhereTheGuestsKernelHasItsOwn) {
  const auto taken = [](const char* guest) {
    return static_cast<bool>(make_initramfs({.shares = {{"share0", guest, false}}}, Kernel()));
  };
  for (const char* guest : {"/", "//", "/proc", "/proc/", "/x/../sys", "/dev/.", "/proc/self", "/sys/kernel"})
    EXPECT_FALSE(taken(guest)) << guest;
  for (const char* guest : {"/data", "/process", "/dev/shm/data", "/system"}) EXPECT_TRUE(taken(guest)) << guest;
}

std::vector<u8> gzip(const std::vector<u8>& plain) {
  std::vector<u8> packed(plain.size() + 1000);
  z_stream z{};
  EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = const_cast<u8*>(plain.data());
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = packed.data();
  z.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

TEST(Unpack, WhatIsPackedComesOutAndNoMoreThanAllowed) {
  const std::vector<u8> plain(100000, 'a');
  std::vector<u8> packed = gzip(plain);
  const auto unpacked = unpack("file", packed, 1 << 20);
  ASSERT_TRUE(unpacked);
  EXPECT_EQ(*unpacked, plain);
  EXPECT_FALSE(unpack("file", packed, plain.size() - 1));
  packed.resize(packed.size() / 2);
  EXPECT_FALSE(unpack("file", packed, 1 << 20));
  EXPECT_FALSE(unpack("file", {0xfd, '7', 'z', 'X', 'Z', 0, 1, 2, 3}, 1 << 20));
  const std::vector<u8> other{1, 2, 3};
  EXPECT_EQ(*unpack("file", other, 1 << 20), other);
}

void put(std::vector<u8>& bytes, std::size_t at, u32 value) { std::memcpy(&bytes[at], &value, sizeof value); }

/// As Linux 6.1 has it: header, a table, code with the packer's magic number in it, what is packed, its size.
std::vector<u8> make_zimage(const std::vector<u8>& image) {
  constexpr u32 k_table = 0x100;
  std::vector<u8> zimage(0x200);
  put(zimage, 0x24, 0x016f2818);
  put(zimage, 0x34, 0x45454545);
  put(zimage, 0x38, k_table);
  put(zimage, 0x180, 0x00088b1f);
  const std::vector<u8> packed = gzip(image);
  zimage.insert(zimage.end(), packed.begin(), packed.end());
  const u32 size_at = static_cast<u32>(zimage.size());
  zimage.resize(size_at + 100);
  put(zimage, size_at, static_cast<u32>(image.size()));
  const u32 table[] = {6, 0x5a534c4b, size_at, 0x1000, 0x208000, 0x10000};
  std::memcpy(&zimage[k_table], table, sizeof table);
  return zimage;
}

TEST(KernelImage, WhatAZimageSaysOfItselfIsBelievedAsFarAsItIsTrue) {
  const std::vector<u8> image(100000, 'k');
  std::vector<u8> zimage = make_zimage(image);
  const auto packed = packed_kernel(zimage);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->size, image.size());
  EXPECT_EQ(packed->text_offset, 0x208000u);
  EXPECT_EQ(unpack_kernel(zimage, *packed), image);
  EXPECT_FALSE(unpack_kernel(zimage, {image.size() + 1, 0x8000}));
  EXPECT_FALSE(unpack_kernel(zimage, {image.size() - 1, 0x8000}));
  put(zimage, 0x38, 0xfffffff0);
  EXPECT_FALSE(packed_kernel(zimage));
  for (const std::size_t size : {std::size_t{0}, std::size_t{0x30}, std::size_t{0x102}, std::size_t{0x200}}) {
    std::vector<u8> shorter = make_zimage(image);
    shorter.resize(size);
    EXPECT_FALSE(packed_kernel(shorter)) << size;
  }
}

TEST(KernelCache, KeepsTheImageOfEachZimage) {
  char folder[] = "/tmp/armvisor_cache_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  setenv("XDG_CACHE_HOME", folder, 1);
  const std::vector<u8> one = {1}, another = {2}, image(5000, 'i');
  EXPECT_FALSE(KernelCache(one).find(image.size()));
  KernelCache(one).keep(image);
  EXPECT_TRUE(KernelCache(one).find(image.size()));
  EXPECT_FALSE(KernelCache(one).find(image.size() + 1)) << "it was cut";
  EXPECT_FALSE(KernelCache(another).find(image.size()));
  for (std::size_t n = 0; n < 2 * KernelCache::k_most; ++n) KernelCache(std::vector<u8>(n + 2)).keep(image);
  const auto kept = std::filesystem::directory_iterator(std::string(folder) + "/armvisor/kernels");
  EXPECT_EQ(std::distance(begin(kept), end(kept)), static_cast<std::ptrdiff_t>(KernelCache::k_most));
  std::filesystem::remove_all(folder);
}

/// A file system with a kernel, which says that it is another's by its UUID and the numbers of its inodes.
Fd system_with_kernel(const std::vector<u8>& zimage) {
  Fd file(memfd_create("system", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(ExtImage::k_least)), 0);
  auto image = ExtImage::create(file.get(), ExtImage::k_least, "system");
  EXPECT_TRUE(image);
  SystemTree tree(*image, "system");
  const auto add = [&](const char* path, const std::vector<u8>& bytes) {
    const auto inode = tree.add(path, {.mode = S_IFREG | 0644});
    EXPECT_TRUE(inode && image->begin_file(*inode, bytes.size(), false) && image->write(0, bytes) &&
                image->end_file(bytes.size()));
  };
  add("boot/vmlinuz-1", zimage);
  add("lib/modules/1/modules.dep", {'\n'});
  add("lib/modules/1/modules.builtin", {'\n'});
  EXPECT_TRUE(tree.finish());
  EXPECT_TRUE(image->finish());
  const std::string uuid(16, 'u');
  EXPECT_EQ(pwrite(file.get(), uuid.data(), uuid.size(), 1024 + 104), 16);
  return file;
}

TEST(KernelCache, AKernelIsKnownByItsBytesAndNotByWhatItsFileSystemSays) {
  char folder[] = "/tmp/armvisor_cache_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  setenv("XDG_CACHE_HOME", folder, 1);
  for (const u8 content : {'a', 'b'}) {
    const std::vector<u8> image(100000, content);
    const Fd file = system_with_kernel(make_zimage(image));
    const auto system = open_ext_folder(file.get(), "system");
    ASSERT_TRUE(system) << system.error().message;
    auto kernel = find_kernel({}, &*system, "system");
    ASSERT_TRUE(kernel) << kernel.error().message;
    ASSERT_TRUE(use_image(*kernel));
    std::vector<u8> booted(image.size());
    EXPECT_EQ(pread(kernel->file.get(), booted.data(), booted.size(), 0), static_cast<ssize_t>(booted.size()));
    EXPECT_EQ(booted, image);
  }
  std::filesystem::remove_all(folder);
}

class CacheFolders : public testing::Test {
 protected:
  CacheFolders() {
    EXPECT_NE(mkdtemp(folder_), nullptr);
    setenv("XDG_CACHE_HOME", path("cache").c_str(), 1);
    std::filesystem::create_directory(path("cache"));
  }
  ~CacheFolders() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return std::string(folder_) + "/" + name; }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  KernelCache cache() const { return KernelCache(zimage_); }
  std::vector<std::string> kept(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path(folder)))
      names.push_back(entry.path().filename());
    return names;
  }
  const std::vector<u8> zimage_ = {'z'};
  const std::vector<u8> image_ = std::vector<u8>(5000, 'i');

 private:
  char folder_[32] = "/tmp/armvisor_cache_XXXXXX";
};

TEST_F(CacheFolders, FilesThatAreNotItsOwnAreLeftAlone) {
  std::filesystem::create_directories(path("cache/armvisor/kernels"));
  constexpr int k_files = 3 * KernelCache::k_most;
  for (int n = 0; n < k_files; ++n) write(path("cache/armvisor/kernels/paper-1-2-" + std::to_string(n)), "text");
  cache().keep(image_);
  EXPECT_TRUE(cache().find(image_.size()));
  EXPECT_EQ(kept("cache/armvisor/kernels").size(), k_files + 1u);
}

TEST_F(CacheFolders, LinksAndFoldersThatOthersWriteToAreNotUsed) {
  namespace fs = std::filesystem;
  fs::create_directories(path("papers/kernels"));
  fs::create_symlink(path("papers"), path("cache/armvisor"));
  cache().keep(image_);
  fs::remove(path("cache/armvisor"));
  fs::create_directory(path("cache/armvisor"));
  fs::create_symlink(path("papers/kernels"), path("cache/armvisor/kernels"));
  cache().keep(image_);
  EXPECT_TRUE(kept("papers/kernels").empty());
  fs::remove(path("cache/armvisor/kernels"));
  for (const char* folder : {"cache/armvisor", "cache/armvisor/kernels"}) {
    fs::create_directory(path(folder));
    fs::permissions(path(folder), fs::perms::all);
    cache().keep(image_);
    EXPECT_FALSE(cache().find(image_.size())) << folder;
    fs::permissions(path(folder), fs::perms::owner_all);
  }
  cache().keep(image_);
  EXPECT_TRUE(cache().find(image_.size()));
}

TEST_F(CacheFolders, WhatAProcessOfTheSameNumberLeftIsNotInTheWay) {
  cache().keep(image_);
  const auto names = kept("cache/armvisor/kernels");
  ASSERT_EQ(names.size(), 1u);
  std::filesystem::remove(path("cache/armvisor/kernels/" + names[0]));
  write(path("cache/armvisor/kernels/" + names[0] + "." + std::to_string(getpid())), "half");
  cache().keep(image_);
  EXPECT_TRUE(cache().find(image_.size()));
}

/// A kernel whose module virtio_mmio needs so many others, all of which are one file of so many bytes.
class ManyModules : public testing::Test {
 protected:
  ManyModules() { EXPECT_NE(mkdtemp(folder_), nullptr); }
  ~ManyModules() override { std::filesystem::remove_all(folder_); }
  std::string refusal(int count, u64 size) const {
    const std::string folder(folder_);
    std::ofstream(folder + "/m").flush();  // empty, so that a larger one costs no disk
    std::filesystem::resize_file(folder + "/m", size);
    std::ofstream dep(folder + "/modules.dep");
    dep << "virtio_mmio.ko:";
    for (int n = 0; n < count; ++n) dep << " " << n << ".ko";
    dep << "\n";
    for (const char* name : {"virtio_mmio", "virtio_console", "9pnet_virtio", "9p", "overlay"}) add(name, dep);
    for (int n = 0; n < count; ++n) add(std::to_string(n), dep, n < 256);
    dep.close();
    auto opened = Folder::open(folder, "--modules");
    if (!opened) return opened.error().message;
    auto modules = ModuleFolder::open(*std::move(opened));
    if (!modules) return modules.error().message;
    Kernel kernel;
    kernel.modules = *std::move(modules);
    const auto made = make_initramfs({}, kernel);
    return made ? "" : made.error().message;
  }

 private:
  void add(const std::string& name, std::ofstream& dep, bool has_file = true) const {
    std::error_code error;
    if (has_file) std::filesystem::create_symlink("m", std::string(folder_) + "/" + name + ".ko", error);
    if (name != "virtio_mmio") dep << name << ".ko:\n";
  }
  char folder_[32] = "/tmp/armvisor_modules_XXXXXX";
};

TEST_F(ManyModules, OfASystemCostTheHostABoundedAmount) {
  EXPECT_EQ(refusal(200, 100), "");
  EXPECT_NE(refusal(300, 100).find("at most 256 modules"), std::string::npos) << refusal(300, 100);
  EXPECT_NE(refusal(100'000, 100).find("at most 256 modules"), std::string::npos);
  const std::string large = refusal(20, u64{60} << 20);
  EXPECT_NE(large.find("at most 268435456 bytes"), std::string::npos) << large;
}

TEST(Initramfs, PathsThatTheGuestCannotTakeAreRefused) {
  const auto refused = [](const std::string& guest, int count = 1) {
    GuestSetup setup;
    for (int n = 0; n < count; ++n) setup.shares.push_back({"share" + std::to_string(n), guest, false});
    return !make_initramfs(setup, Kernel());
  };
  EXPECT_FALSE(refused("/data"));
  EXPECT_FALSE(refused("/" + std::string(4094, 'd')));
  EXPECT_TRUE(refused("/" + std::string(4095, 'd')));
  EXPECT_FALSE(refused("/" + std::string(4000, 'd'), 16));
  EXPECT_TRUE(refused("/" + std::string(4000, 'd'), 17)) << "the list is too long";
  for (const char* root : {"/", "//", "/.", "/./", "/..", "/data/.."}) EXPECT_TRUE(refused(root)) << root;
}

TEST(ConsoleLog, KeepsTheLastLinesFromWhereAPanicBegins) {
  auto log = ConsoleLog::create(-1);
  ASSERT_TRUE(log);
  const auto say = [&](const std::string& text) {
    (*log)->add({reinterpret_cast<const u8*>(text.data()), text.size()});
  };
  for (int n = 0; n < 1000; ++n) say("line " + std::to_string(n) + std::string(5000, 'x') + "\r\n");
  EXPECT_FALSE((*log)->panicked());
  EXPECT_LE((*log)->last_lines().size(), 20u);
  EXPECT_LE((*log)->last_lines()[0].size(), ConsoleLog::k_longest_line);
  say("[ 1.0] Internal error: Oops\n[ 1.0] PC is at x\x1b[2J\n[ 1.1] Kernel panic - not syncing: Fatal exception\n");
  EXPECT_TRUE((*log)->panicked());
  EXPECT_EQ((*log)->last_lines()[0], "[ 1.0] Internal error: Oops");
  EXPECT_EQ((*log)->last_lines()[1], "[ 1.0] PC is at x?[2J");
}

TEST(Outcome, OnlyACommandThatEndedWith0IsASuccess) {
  EXPECT_EQ((Outcome{.ending = Ending::Exited, .value = 0}).status(), 0);
  EXPECT_EQ((Outcome{.ending = Ending::Signalled, .value = 9}).status(), 137);
  for (const Ending e : {
           Ending::Interrupted,
#define EXEC_STATUS(name, status, word, meaning) Ending::name,
#include "exec/outcomes.inc"
#undef EXEC_STATUS
       })
    EXPECT_NE((Outcome{.ending = e}).status(), 0) << (Outcome{.ending = e}).word();
  EXPECT_NE((Outcome{.ending = Ending::Panicked, .console = {"a\xff"}}).report().find("\"guest-panic\""),
            std::string::npos);
}

}  // namespace
}  // namespace armvisor::exec
