"""Networks that propose boxes."""

from .proposal_utils import add_ground_truth_to_proposals, find_top_rpn_proposals
from .rpn import RPN, StandardRPNHead
from .rrpn import RRPN, find_top_rrpn_proposals

__all__ = [
    "RPN",
    "RRPN",
    "StandardRPNHead",
    "add_ground_truth_to_proposals",
    "find_top_rpn_proposals",
    "find_top_rrpn_proposals",
]
