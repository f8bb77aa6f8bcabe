"""predictions from elsewhere"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.text("name IS NOT NULL")
    op.add_column("item", sa.Column("prediction", sa.Text(), nullable=True))
    op.add_column("model", sa.Column("name", sa.Text(), nullable=True))
    op.create_index("model_name", "model", ["project_id", "name"], unique=True, postgresql_where=named, sqlite_where=named)


def downgrade() -> None:
    op.drop_index("model_name", "model")
    op.drop_column("model", "name")
    op.drop_column("item", "prediction")
