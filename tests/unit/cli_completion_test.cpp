#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/fd.h"
#include "cli/command_tables.h"
#include "cli/completion.h"
#include "cli/run_options.h"
#include "vmm/control_path.h"

namespace armvisor::cli {
namespace {

using Words = std::set<std::string>;
using Paths = Completion::Paths;

Words words_of(const Arguments& line) {
  Words words;
  for (const Candidate& c : complete(line).candidates) words.insert(c.word);
  return words;
}

TEST(Completion, CommandsAndOptionsAreThoseOfTheTables) {
  for (const CommandRow& c : commands()) EXPECT_EQ(words_of({""}).contains(std::string(c.name)), c.name != "switch");
  for (const char* command : {"run", "exec", "stat", "fetch", "model", "doctor", "help"})
    for (const OptionRow& o : options_of(command))
      if (!o.is_operand()) {
        EXPECT_TRUE(words_of({command, "-"}).contains(std::string(o.long_name()))) << command << o.names;
      }
  EXPECT_EQ(words_of({"run", "--en"}), Words{"--engine"});
  EXPECT_EQ(words_of({"nonsense", "-"}), Words{});
}

TEST(Completion, WhatIsGivenToChooseFromIsTaken) {
  for (const OptionRow& o : options_of("run")) {
    const std::string name(o.long_name());
    const std::vector<std::string_view> all = alternatives(o.value);
    if (all.size() < 2 || o.value.starts_with('[')) continue;
    for (const std::string_view value : all) {
      const auto options = parse_run_options({"-k", "z", name, std::string(value)});
      ASSERT_TRUE(options);
      const auto request = run_request(*options);
      EXPECT_TRUE(request) << name << " " << value << ": " << request.error().message;
    }
    EXPECT_EQ(words_of({"run", name, ""}), Words(all.begin(), all.end()));
    EXPECT_EQ(words_of({"run", name + "="}).size(), all.size());
    EXPECT_EQ(complete({"run", name, ""}).paths, Paths::None);
  }
  EXPECT_EQ(words_of({"run", "--engine=j"}), Words{"--engine=jit"});
  EXPECT_EQ(words_of({"run", "-d", "x,discard=unmap,di"}),
            (Words{"x,discard=unmap,discard=unmap", "x,discard=unmap,discard=ignore"}));
  EXPECT_EQ(words_of({"run", "--io", "no-in-place,no-large-s"}), Words{"no-in-place,no-large-send"});
  EXPECT_EQ(words_of({"run", "--jit", "no-win"}), Words{"no-windows"});
}

TEST(Completion, PathsComeWhereTheyCanBe) {
  EXPECT_EQ(complete({"run", "-k", ""}).paths, Paths::Files);
  EXPECT_EQ(complete({"run", "--share", ""}).paths, Paths::Folders);
  EXPECT_EQ(complete({"run", "--timeout", ""}).paths, Paths::None);
  const Completion stats = complete({"run", "--stats=json:/tm"});
  EXPECT_EQ(stats.paths, Paths::Files);
  EXPECT_EQ(stats.prefix, "--stats=json:");
  const Completion console = complete({"run", "--console", "unix:/r"});
  EXPECT_EQ(console.paths, Paths::Files);
  EXPECT_EQ(console.prefix, "unix:");
  EXPECT_EQ(words_of({"run", "--console", "s"}), Words{"stdio"});
  const Completion layout = complete({"exec", "-v", "oci:deb"});
  EXPECT_EQ(layout.paths, Paths::Folders);
  EXPECT_EQ(layout.prefix, "oci:");
  EXPECT_EQ(complete({"exec", "--net", "none", "sys"}).paths, Paths::Files);
  EXPECT_EQ(complete({"exec", "system", "--", "./pro"}).paths, Paths::Files);
  EXPECT_EQ(complete({"exec", "system", "more"}).paths, Paths::None) << "there is one system";
  EXPECT_EQ(complete({"model", "a.json", "b"}).paths, Paths::Files) << "there may be many";
}

TEST(Completion, WordsThatMakeNoSenseAreSurvived) {
  EXPECT_EQ(words_of({}), Words{});
  for (const Arguments& line :
       {Arguments{"run", "="}, {"run", "--=", "x"}, {"run", "--", "--", ""}, {"", ""}, {"exec", ",,"}})
    (void)complete(line);
}

TEST(Completion, MachinesAreThoseThatRun) {
  std::string folder = (std::filesystem::temp_directory_path() / "completion-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
  const auto directory = vmm::open_control_directory();
  ASSERT_TRUE(directory);
  const auto listen_as = [&](const char* name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, vmm::control_socket_path(*directory, name)->c_str());
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  };
  const Fd one = listen_as("one");
  { const Fd killed = listen_as("killed"); }
  EXPECT_EQ(words_of({"stat", ""}), Words{"one"});
  EXPECT_EQ(words_of({"stat", "--interval", ""}), Words{});
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace armvisor::cli
