#pragma once
// What formats of disk images there are, and what tells one from another.
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::devices {

/// How many bytes at the start of a file `format_of_content` looks at.
inline constexpr std::size_t k_format_bytes = 512;

/// By its name in QEMU: "raw", "qcow2", "vmdk", "vhdx"...
bool is_image_format(std::string_view name);
/// All of them, separated by commas; for messages.
std::string image_format_names();
/// What the end of a file's name says: "qcow2" for x.qcow2; "raw" for every name that says nothing.
std::string_view format_of_name(std::string_view path);
/// What the first k_format_bytes of a file show, or as many as there are; "raw" for all else.
///
/// In a raw image these bytes are the guest's own, which may so make its disk look like one of another format, that
/// names other files of the host as parts of it. So who takes the word of the bytes for the format must keep the guest
/// from writing such bytes to a disk that was found raw (DiskFileOptions::keep_raw).
std::string_view format_of_content(std::span<const u8> head);

}  // namespace armvisor::devices
