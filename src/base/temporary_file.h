#pragma once
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace armvisor {

/// A file without a name, for much data: in $TMPDIR, or /var/tmp. `purpose` is for the message: "disk x: expected room
/// in FOLDER PURPOSE".
Result<Fd> temporary_file(const std::string& subject, const std::string& purpose);

}  // namespace armvisor
