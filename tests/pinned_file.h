#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace armvisor {

/// Fails at the first line in which `now` is not what the file `pinned` has. With the environment variable `update` set
/// the file is written anew first. A line with one word and no indent names what follows.
inline void expect_pinned(const std::filesystem::path& pinned, const std::string& now, const char* update) {
  if (std::getenv(update)) std::ofstream(pinned) << now;
  std::stringstream was;
  was << std::ifstream(pinned).rdbuf();
  std::istringstream old_lines(was.str()), new_lines(now);
  std::string a, b, name;
  while (true) {
    const bool more_old = static_cast<bool>(std::getline(old_lines, a)),
               more_new = static_cast<bool>(std::getline(new_lines, b));
    if (!more_old && !more_new) break;
    if (more_new && !b.empty() && b.find(' ') == b.npos) name = b;
    ASSERT_EQ(more_old ? a : "(nothing)", more_new ? b : "(nothing)")
        << pinned << ", " << name << ": if the change is meant, run with " << update << "=1 and have it reviewed";
  }
}

}  // namespace armvisor
