#pragma once
// A picture of the guest's screen in a file that a monitor names.
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::vmm {

inline constexpr const char* k_screenshot_errand = "screendump";

/// A portable pixmap (PPM): so many pixels of three bytes.
std::vector<u8> make_pixmap(u32 width, u32 height, std::vector<u8> pixels);

/// Writes the picture to the file, or has it written by the machine's second process (base/sandbox/errands.h).
Status save_screenshot(const std::string& path, const std::vector<u8>& pixmap, const std::vector<std::string>& inputs);

/// That process's part. Whoever asks may be a guest that has got out: the file has to be new, empty or a pixmap, and
/// what is written is one.
Result<Fd> write_screenshot(const std::string& path, Fd pixmap, const std::vector<std::string>& inputs);

}  // namespace armvisor::vmm
