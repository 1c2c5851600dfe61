#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "base/cgroup_limits.h"

namespace armvisor {
namespace {

namespace fs = std::filesystem;

class Cgroups : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cgroups-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  CgroupLimits limits() const { return {folder_ / "self", folder_ / "groups"}; }

  fs::path folder_;
};

TEST_F(Cgroups, WithoutThemThereAreNoLimits) {
  EXPECT_FALSE(limits().memory_left());
  EXPECT_FALSE(limits().cpus());
  EXPECT_FALSE(limits().processes_left());
}

TEST_F(Cgroups, TheLeastOfAllAboveCounts) {
  put("self", "0::/outer/inner\n");
  put("groups/outer/inner/memory.max", "max\n");
  put("groups/outer/memory.max", "1000\n");
  put("groups/outer/memory.current", "300\n");
  put("groups/memory.max", "2000\n");
  put("groups/outer/inner/cpu.max", "150000 100000\n");
  put("groups/outer/cpu.max", "max 100000\n");
  put("groups/outer/pids.max", "10\n");
  put("groups/outer/pids.current", "20\n");
  EXPECT_EQ(limits().memory_left(), 700u);
  EXPECT_EQ(limits().cpus(), 1.5);
  EXPECT_EQ(limits().processes_left(), 0u);
}

TEST_F(Cgroups, OfTheFirstVersionAreFoundByTheirControllers) {
  put("self", "5:memory:/box\n4:cpu,cpuacct:/box\n3:name=systemd:/other\nnonsense\n");
  put("groups/memory/box/memory.limit_in_bytes", "4096\n");
  put("groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("groups/cpu/box/cpu.cfs_quota_us", "50000\n");
  put("groups/cpu/box/cpu.cfs_period_us", "100000\n");
  put("groups/cpu/cpu.cfs_quota_us", "-1\n");
  put("groups/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limits().memory_left(), 4096u);
  EXPECT_EQ(limits().cpus(), 0.5);
  EXPECT_FALSE(limits().processes_left());
}

}  // namespace
}  // namespace armvisor
