#pragma once
// Tar archives (ustar, POSIX.1-1988) for tests, byte by byte, so that they can be wrong.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace armvisor::test {

struct TarFileEntry {
  std::string name;
  char type = '0';  ///< '0' file, '1' hard link, '2' symbolic link, '3' and '4' devices, '5' folder, '6' FIFO
  std::string data{}, link{};
  u32 mode = 0644, uid = 0, gid = 0, major = 0, minor = 0;
  std::string size{};  ///< in the place of the data's
};

class TarFile {
 public:
  TarFile& add(const TarFileEntry& e) {
    std::vector<char> head(512);
    const auto text = [&](std::size_t at, std::size_t most, const std::string& value) {
      std::memcpy(&head[at], value.data(), std::min(most, value.size()));
    };
    const auto number = [&](std::size_t at, int digits, u64 value) {
      char octal[32];
      std::snprintf(octal, sizeof octal, "%0*llo", digits, static_cast<unsigned long long>(value));
      text(at, static_cast<std::size_t>(digits), octal);
    };
    text(0, 100, e.name);
    number(100, 7, e.mode);
    number(108, 7, e.uid);
    number(116, 7, e.gid);
    number(124, 11, e.data.size());
    if (!e.size.empty()) text(124, 12, e.size);
    number(136, 11, 1600000000);
    head[156] = e.type;
    text(157, 100, e.link);
    text(257, 8,
         std::string("ustar\0"
                     "00",
                     8));
    number(329, 7, e.major);
    number(337, 7, e.minor);
    std::memset(&head[148], ' ', 8);
    u32 sum = 0;
    for (const char c : head) sum += static_cast<u8>(c);
    number(148, 6, sum);
    head[154] = 0;
    bytes_.append(head.data(), head.size());
    bytes_ += e.data;
    bytes_.resize((bytes_.size() + 511) / 512 * 512);
    return *this;
  }
  std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

}  // namespace armvisor::test
