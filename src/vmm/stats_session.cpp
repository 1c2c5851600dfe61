#include "vmm/stats_session.h"

namespace armvisor::vmm {

Result<std::string> StatsSession::operator()(const std::string& request) {
  constexpr std::string_view k_change = " change";
  const bool change = request.ends_with(k_change);
  const std::string form = change ? request.substr(0, request.size() - k_change.size()) : request;
  if (form != "stat text" && form != "stat json")
    return Error{ErrorKind::BadArguments, "expected a request 'stat text' or 'stat json', found another"};
  Stats now = read_();
  measure::Snapshot shown = change ? measure::difference(now.snapshot, last_) : now.snapshot;
  last_ = std::move(now.snapshot);
  if (change) now.marks.clear();
  return form == "stat json" ? measure::json_report(shown, now.marks) : measure::text_report(shown, now.marks);
}

}  // namespace armvisor::vmm
