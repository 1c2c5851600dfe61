#pragma once
// What must agree.
#include <string>

#include "oracle/case.h"

namespace armvisor::oracle {

/// Empty when `ours` agrees with `theirs`; else what differs, one line each. Memory is compared by the caller.
std::string differences(const Case& c, const Result& ours, const Result& theirs);
/// At an abort in an IT block of a sequence the reference executes some of what follows: then neither registers nor
/// memory can be compared.
bool reference_goes_on(const Case& c, const Result& ours, const Result& theirs);
std::string describe(const Case& c);

}  // namespace armvisor::oracle
