"""Networks that propose boxes."""

from .proposal_utils import add_ground_truth_to_proposals, find_top_rpn_proposals
from .rpn import RPN, StandardRPNHead

__all__ = ["RPN", "StandardRPNHead", "add_ground_truth_to_proposals", "find_top_rpn_proposals"]
