// What the compiler decides of a block before it emits code, as text: for each case of tests/plan/*.ir, pinned beside
// it in *.plan. To write the files anew: ARMVISOR_UPDATE_PLANS=1 engine_plan_test
//
// A case is planned for a host with all features and with all choices as they normally are, privileged, unless it says
// otherwise: jit=LIST is of --jit, hide=NAMES are features that the host lacks, user=1: unprivileged.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/jit/x64/plan/plan_text.h"
#include "frontend/translate.h"
#include "pinned_file.h"

namespace armvisor::engine::jit {
namespace {

struct Case {
  std::string name, text, jit, hide;
  bool user = false;
};

/// The lines `test NAME [jit=LIST] [hide=NAMES] [user=1]`, each with a block behind it; ';' starts a comment.
std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    if (!(words >> first) || first[0] == ';') continue;
    if (first != "test") {
      if (!cases.empty()) cases.back().text += line + "\n";
      continue;
    }
    Case& c = cases.emplace_back();
    words >> c.name;
    for (std::string word; words >> word;) {
      if (word.starts_with("jit=")) c.jit = word.substr(4);
      if (word.starts_with("hide=")) c.hide = word.substr(5);
      if (word == "user=1") c.user = true;
    }
  }
  return cases;
}

HostFeatures host_without(const std::string& hidden) {
  HostFeatures host;
  const auto has = [&](const std::string& name) { return ("," + hidden + ",").find("," + name + ",") == hidden.npos; };
#define HOST_FEATURE(member, name, use) host.member = has(name);
#include "engine/jit/x64/host_features.inc"
#undef HOST_FEATURE
  return host;
}

std::vector<std::filesystem::path> files() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(ARMVISOR_TESTS) / "plan"))
    if (entry.path().extension() == ".ir") out.push_back(entry.path());
  return out;
}

/// Into `plan`, whatever that was.
std::string planned(const Case& c, Plan& plan) {
  ir::Block block;
  std::string error;
  EXPECT_TRUE(ir::parse(c.text, block, error)) << c.name << ": " << error;
  EXPECT_EQ(ir::verify(block), "") << c.name;
  JitOptions options;
  EXPECT_TRUE(c.jit.empty() || parse_jit_options(c.jit, options)) << c.name;
  const HostFeatures host = host_without(c.hide);
  frontend::Context context;
  context.privileged = !c.user;
  make_plan({block, context.key(), host, options}, plan);
  return print(block, plan);
}

TEST(Plan, OfEachCaseIsWhatIsPinned) {
  std::size_t count = 0;
  for (const auto& file : files()) {
    std::string now = "What the compiler plans for the cases of " + file.filename().string() + "; engine_plan_test\n";
    for (const Case& c : read_cases(file)) {
      Plan plan;
      now += "\n" + c.name + "\n" + planned(c, plan);
      ++count;
    }
    std::filesystem::path pinned = file;
    pinned.replace_extension(".plan");
    ASSERT_NO_FATAL_FAILURE(expect_pinned(pinned, now, "ARMVISOR_UPDATE_PLANS"));
  }
  EXPECT_GE(count, 60u);
}

TEST(Plan, DependsOnNothingThatWasPlannedBefore) {
  Plan used;
  std::vector<Case> cases;
  for (const auto& file : files())
    for (Case& c : read_cases(file)) cases.push_back(std::move(c));
  for (u32 round = 0; round < 2; ++round) {
    for (const Case& c : cases) {
      Plan fresh;
      EXPECT_EQ(planned(c, used), planned(c, fresh)) << c.name;
    }
    std::reverse(cases.begin(), cases.end());
  }
}

TEST(Plan, OfAnyChoicesIsMadeOfEveryCase) {
  Plan plan;
  for (const auto& file : files())
    for (Case c : read_cases(file))
      for (const char* jit : {"no-lazy-flags", "no-dead-flags,no-fuse-compare", "no-side-exits", "no-group-accesses",
                              "no-xmm-cache,no-register-copies", "no-lazy-edges,no-xmm-regions", "world-switches"}) {
        c.jit = jit;
        EXPECT_FALSE(planned(c, plan).empty()) << c.name << " with " << jit;
      }
}

}  // namespace
}  // namespace armvisor::engine::jit
